"""The bodies of requests, one module a resource."""
