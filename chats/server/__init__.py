"""The ASGI server side: calls in turn, shares, connections, open streams."""
