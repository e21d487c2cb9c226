"""Attempts to lose, double or leak messages: each program exits with 1 if one works."""
