"""Signing up and in, names, passwords, sessions and tokens."""
