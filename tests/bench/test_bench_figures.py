"""The arithmetic of the measurements: what counts as met, missed or not judged."""

import os

import pytest

from bench.lab import charts, report
from bench.lab.figures import CORES, Figures, Verdict, processor_time, scaling_of
from bench.lab.load import Plan, request, run_load
from bench.speed import cluster, mixed_load
from bench.speed.growth_report import growth, verdicts


def figures(count: int = 100, **values: float) -> Figures:
    """Return ten seconds in which every processor was busy, with what is named."""
    known = {"elapsed": 10.0, "generator": 0.0, "server": 10.0, "database": 0.0}
    known |= {"machine": 10.0 * CORES, "latencies": [0.01] * count, "errors": 0}
    return Figures(**known | values)


def test_rate_given_back_counts_what_the_generator_took_from_the_servers():
    half = figures(generator=10.0 * CORES / 2)

    assert half.rate_given_back(database=False) == pytest.approx(2 * half.rate)


def test_rate_given_back_is_the_rate_while_processors_are_idle():
    idle = figures(generator=1.0, machine=11.0 * CORES / 2)

    assert idle.rate_given_back(database=False) == pytest.approx(idle.rate)


@pytest.mark.parametrize(("rate", "is_met"), [(169, False), (170, True)])
def test_scaling_is_judged_by_its_goal(rate, is_met):
    one = figures(count=100, server=10.0 * CORES)
    two = figures(count=rate, server=10.0 * CORES)

    assert scaling_of("send", one, two).is_met is is_met


def test_scaling_is_not_judged_on_a_busy_machine():
    busy = figures(server=0.0)

    assert scaling_of("send", busy, busy).is_met is None


def test_growth_compares_within_each_round():
    """A machine that is three times as slow in one round changes nothing."""
    sizes = {
        10: [figures(server=1.0), figures(server=3.0), figures(server=1.0)],
        1000: [figures(server=1.2), figures(server=3.6), figures(server=9.0)],
    }

    assert growth(sizes, 1000) == pytest.approx(1.2)


def test_growth_verdict_counts_the_database():
    sizes = {10: [figures(server=1.0)], 1000: [figures(server=1.0, database=0.31)]}
    [verdict] = verdicts({"PostgreSQL": {"send": sizes}})

    assert verdict.is_met is False
    assert verdict.figure == "1.31"


@pytest.mark.parametrize(
    ("slowest", "errors", "is_met"),
    [(0.03, 0, True), (0.031, 0, False), (0.01, 1, False)],
)
def test_mixed_verdict(slowest, errors, is_met):
    def slices(latency: float, errors: int = 0) -> list[mixed_load.Slice]:
        found = figures(latencies=[latency] * 100, errors=errors)
        return [mixed_load.Slice({"send": found, "page": found}, 0)]

    measured = {"alone": slices(0.01), "all": slices(slowest, errors)}
    found = list(mixed_load.verdicts({"SQLite": measured}))

    assert [verdict.is_met for verdict in found] == [is_met, is_met]


@pytest.mark.parametrize(
    ("p50", "p99", "are_met"),
    [(15.0, 60.0, [True, True]), (15.04, 60.1, [True, False])],
)
def test_latencies_across_processes_are_judged_as_printed(p50, p99, are_met):
    [_, *found] = cluster.verdicts({}, {50: p50, 99: p99})

    assert [verdict.is_met for verdict in found] == are_met


@pytest.mark.parametrize(("is_met", "code"), [(True, 0), (None, 0), (False, 1)])
def test_finish_exits_with_one_for_a_missed_goal(is_met, code, capsys):
    with pytest.raises(SystemExit) as ended:
        report.finish([Verdict("a goal", "1.0", True), Verdict("another", "2", is_met)])

    assert int(ended.value.code) == code
    assert "another" in capsys.readouterr().out


def test_write_section_replaces_its_own_only(tmp_path):
    page = tmp_path / "page.md"
    charts.write_section(page, "one", "One", "first")
    charts.write_section(page, "two", "Two", "second")
    charts.write_section(page, "one", "One", r"third \1")

    assert page.read_text().split("\n\n") == [
        "# Performance",
        "## One",
        "<!-- one: begin -->\nthird \\1\n<!-- one: end -->",
        "## Two",
        "<!-- two: begin -->\nsecond\n<!-- two: end -->\n",
    ]


def test_processor_time_is_of_processes_that_are_there():
    assert processor_time([os.getpid()]) > 0
    assert processor_time([2**22 + 1]) == 0  # above the largest there is


def test_run_load_takes_requests_in_turn_and_counts_errors(live_server):
    port = int(live_server.url.rsplit(":", 1)[1])
    paths = ("/healthz", "/api/users/me/", "/healthz")
    plan = Plan([request("GET", path, "") for path in paths], repeated=False)
    load = run_load([port], [plan], 30.0)

    assert (len(load.latencies), load.errors) == (3, 1)
