"""Programs that measure the server and that try to break it, in three rooms.

``speed`` measures what calls cost. ``proofs`` does what could lose a message, or show
it to the wrong person, and counts what went wrong. ``lab`` is what both share: servers,
databases, load, followers, reports. Both rooms import from ``lab`` and from themselves,
``lab`` from itself only.
"""
