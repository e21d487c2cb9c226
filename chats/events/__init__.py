"""Events on their way out: cursors, rendering, pages of the log, and the hub."""
