"""Activity: messages and people over time, as figures and charts."""
