"""What every request passes: addresses, throttles, sizes, logs, pages and files."""
