"""The demo: its data, somebody who answers, and the welcome."""
