"""Every change: alone, many at once, and what it leaves behind."""
