"""The cost of calls and streams; each program exits with 1 if a goal is missed."""
