"""The checks of the command doctor: what must be true of the stored data."""
