"""What text may hold, and the form in which it is stored and compared."""
