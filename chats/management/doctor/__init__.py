"""The checks of doctor: what must be true of the stored data."""
