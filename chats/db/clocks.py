"""Comparing stored times with now, where clocks may be wrong."""

from datetime import datetime, timedelta

# How far the clocks of two nodes may differ. A stored time further in the future was
# written by a wrong clock, and is never recent.
SKEW = timedelta(minutes=1)


def is_recent(moment: datetime, within: timedelta, now: datetime) -> bool:
    """Return whether ``moment`` is at most ``within`` ago, and not in the future."""
    return now - within <= moment <= now + SKEW
