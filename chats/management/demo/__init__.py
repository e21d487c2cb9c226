"""The demo: its data, a bot that answers, and the welcome."""
