"""What calls and streams cost: each program exits with 1 if a goal is missed."""
