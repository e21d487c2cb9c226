"""The API's views: thin, one module a resource."""
