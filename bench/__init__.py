"""Programs that measure the server and that try to break it, in three rooms.

``speed`` measures the cost of calls. ``proofs`` does things that could lose a message,
or show it to the wrong user, and counts what goes wrong. ``lab`` has what both need:
servers, databases, load, followers, reports. Both rooms import from ``lab`` and from
themselves, ``lab`` from itself only.
"""
