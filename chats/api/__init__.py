"""The REST API: routes, views, what may be sent, who may call."""
