"""The ASGI server: fair scheduling of calls, limits, connections and open streams."""
