"""Metrics of this process for Prometheus; each process has its own."""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

# Seconds. A page takes about 5 ms, a password hash 100, a write that waits up to 5000.
BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

disable_created_metrics()  # a second series for each metric, which nothing uses
registry = CollectorRegistry()
ProcessCollector(registry=registry)
requests = Histogram(
    "messaging_request_seconds",
    "Requests answered, and the time from arrival to answer.",
    ("method", "route", "status"),
    buckets=BUCKETS,
    registry=registry,
)
open_streams = Gauge(
    "messaging_open_streams", "Event streams held open.", registry=registry
)
hub_position = Gauge(
    "messaging_hub_position", "The last event dispatched.", registry=registry
)
hub_lag = Gauge(
    "messaging_hub_lag_events",
    "Ids from the last event dispatched to the newest; 0 while no stream is open.",
    registry=registry,
)
events_dispatched = Counter(
    "messaging_events_dispatched", "Events the hub has dispatched.", registry=registry
)
database_unavailable = Counter(
    "messaging_database_unavailable",
    "Calls and turns of the hub that failed because the database was unavailable.",
    registry=registry,
)


def as_text() -> bytes:
    return generate_latest(registry)
