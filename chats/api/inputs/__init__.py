"""What may be sent to the API, one module a resource."""
