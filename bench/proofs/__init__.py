"""Attempts to lose, double or leak messages; a program exits with 1 if one succeeds."""
