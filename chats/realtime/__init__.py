"""The event log on its way to whom it concerns, and the hub of open streams."""
