"""The characters that text may contain, and its stored and compared forms."""
