"""Shared by measurements and proofs: servers, databases, load, followers, reports."""
