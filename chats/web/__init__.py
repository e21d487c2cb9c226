"""What needs only the request: addresses, headers, limits, logs, errors."""
