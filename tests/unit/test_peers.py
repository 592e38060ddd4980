"""The peers of `make bench-peers`: those that need nothing fetched find what the oracle finds, and lies show."""

import sys
from dataclasses import replace

import pytest

from benchmarks.peers.__main__ import figures
from benchmarks.peers.places import Unavailable, compiled_c
from benchmarks.peers.ratios import TARGETS, ratio, verdicts
from benchmarks.peers.rivals import AVRO, FLINK_ONE_CORE, LIMIT, OURS, RIVALS, Rival
from benchmarks.peers.rounds import Course, Spent, rounds
from benchmarks.workload import workload

BY_NAME = {rival.name: rival for rival in RIVALS}
IN_OUR_ENVIRONMENT = ("naive", "bytewax", "bytewax-fused", "duckdb")


@pytest.fixture(scope="module")
def small():
    """Enough events for more than one batch of Bytewax's, duplicates, and several runs a source."""
    try:
        return workload(11, 900)
    except FileNotFoundError as error:
        pytest.skip(str(error))


def here(name) -> Rival:
    """Return a rival in Python whose packages the project has too."""
    return replace(BY_NAME[name], setup=lambda: sys.executable)


def run(made, *rivals):
    return rounds(made, list(rivals), 1, lambda _: None)


@pytest.mark.parametrize("name", IN_OUR_ENVIRONMENT)
def test_a_peer_in_python_finds_what_the_oracle_finds(small, name):
    (course,) = run(small, here(name))
    assert (course.skipped, course.failed, len(course.runs), len(course.starts)) == ("", "", 1, 1)


@pytest.mark.parametrize("name", [OURS, AVRO])
def test_ours_finds_what_the_oracle_finds(small, name):
    (course,) = run(small, BY_NAME[name])
    assert (course.skipped, course.failed, len(course.runs)) == ("", "", 1)


def test_the_c_limit_finds_what_the_oracle_finds(small):
    try:
        compiled_c()
    except Unavailable as error:
        pytest.skip(str(error))
    (course,) = run(small, BY_NAME[LIMIT])
    assert (course.skipped, course.failed, len(course.runs)) == ("", "", 1)


def test_who_finds_something_else_has_failed(small):
    naive = here("naive")
    (course,) = run(small, replace(naive, rows=lambda output: list(naive.rows(output))[1:]))
    assert "is not the oracle's" in course.failed
    assert course.runs == []


def test_who_ends_with_an_error_has_failed_with_its_last_words(small):
    (course,) = run(small, replace(here("naive"), command=lambda *_: [sys.executable, "-c", "raise ValueError('no')"]))
    assert "ValueError: no" in course.failed


def test_who_cannot_be_set_up_is_skipped_with_the_reason_and_the_others_run(small):
    def setup():
        raise Unavailable("not installed: javac")

    skipped, ran = run(small, replace(BY_NAME[FLINK_ONE_CORE], setup=setup), here("naive"))
    assert (skipped.skipped, skipped.runs) == ("not installed: javac", [])
    assert len(ran.runs) == 1


def course(name, start, *runs):
    return Course(BY_NAME[name], [Spent(*start, 0)], [Spent(*each, each[0]) for each in runs])


def test_start_up_is_in_no_ratio_and_the_median_of_the_rounds_counts():
    ours = course(OURS, (1, 1), (3, 2), (3, 2), (3, 2))
    flink = course(FLINK_ONE_CORE, (4, 4), (24, 14), (22, 13), (94, 94))
    assert ratio(ours, flink, "wall_s") == 10
    assert ratio(ours, flink, "cpu_s") == 10


def test_a_run_no_longer_than_a_start_up_tells_nothing(small):
    short = {OURS: course(OURS, (2, 2), (1, 3)), LIMIT: course(LIMIT, (0, 0), (1, 1))}
    assert ratio(short[OURS], short[LIMIT], "wall_s") is None
    assert ratio(short[OURS], short[LIMIT], "cpu_s") == 1
    assert not any(verdict.met for verdict in verdicts(short))
    assert figures(small, short[OURS])["events_per_s"] is None


def test_a_shared_core_is_judged_by_processor_time():
    quiet = {OURS: course(OURS, (0, 0), (2, 1)), LIMIT: course(LIMIT, (0, 0), (1, 1))}
    assert [verdict.judged_by for verdict in verdicts(quiet)] == ["wall_s"] * len(TARGETS)
    assert [verdict.met for verdict in verdicts(quiet)] == [False, True, False]
    shared = {OURS: course(OURS, (0, 0), (2, 2)), LIMIT: course(LIMIT, (0, 0), (3, 0.5))}
    assert [verdict.judged_by for verdict in verdicts(shared)] == ["cpu_s"] * len(TARGETS)
    assert [verdict.met for verdict in verdicts(shared)] == [False] * len(TARGETS)
