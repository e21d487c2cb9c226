"""Figures and charts of messages and users over time."""
