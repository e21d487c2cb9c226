"""The delivery of events to their recipients, and the hub of open streams."""
