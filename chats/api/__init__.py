"""The REST API: routes, views, inputs, permissions."""
