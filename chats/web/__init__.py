"""Code that depends on the request only: addresses, headers, limits, logs, errors."""
