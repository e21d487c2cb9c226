"""The test suite, by room; what the rooms share is in support."""
