"""The event log on its way out: the log, the hub, presence and rendering."""
