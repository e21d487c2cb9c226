"""The REST API call by call: its answers, errors, permissions and schema."""
