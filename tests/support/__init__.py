"""What the tests share: none of it is a test, and no test module imports another."""
