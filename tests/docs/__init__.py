"""The pages of the documentation agree with the code."""
