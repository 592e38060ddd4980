"""A reader outlives outages of its folder and yields what one without any would."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import pytest

from dataflows.outage import WAIT_MAX_S, PatientReader, wait_after
from dataflows.sources.errors import PositionLost, SourceUnavailable
from dataflows.sources.landed_files import FolderConfig, LandedFiles

SECOND = 1_000_000


class Clock:
    def __init__(self) -> None:
        self.now_us = 4 * 10**15  # Long after any file was written.

    def __call__(self) -> int:
        return self.now_us


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def landing(tmp_path) -> Path:
    folder = tmp_path / "plant"
    folder.mkdir()
    return folder


@pytest.fixture
def patient(landing, clock):
    config = FolderConfig(landing, by_content=True, batch_bytes=8, settle_us=0)
    return lambda: PatientReader("s", lambda: LandedFiles(config, clock), clock, lambda: 1.0)


def take_away(landing: Path) -> Path:
    away = landing.with_name("away")
    landing.rename(away)
    landing.write_bytes(b"")  # A folder of that name cannot be made now.
    return away


def bring_back(landing: Path) -> None:
    landing.unlink()
    landing.with_name("away").rename(landing)


def land(landing: Path, name: str, lines: list[str]) -> None:
    (landing / name).write_text("".join(f"{line}\n" for line in lines))


def drained(reader: PatientReader, polls: int = 50) -> list[str]:
    found = []
    for _ in range(polls):
        records = reader.poll()
        found += [records.value(row).decode() for row in range(len(records))]
    return found


def test_nothing_is_lost_or_read_twice(landing, clock, patient):
    """An outage after every possible poll: in the middle of a file, between two, at the end."""
    lines = {"1": ["aaaaaa", "bbbbbb"], "2": ["cccccc"], "3": ["dddddd", "eeeeee"]}
    for polls in range(7):
        for path in landing.iterdir():
            path.unlink()
        for name, own in lines.items():
            land(landing, name, own)
        reader = patient()
        reader.seek(None, {})
        found = drained(reader, polls)
        take_away(landing)
        reader._reader.close()  # An open file would outlive the folder.
        reader._reader._file = None
        found += drained(reader, 3)
        bring_back(landing)
        clock.now_us += 60 * SECOND
        found += drained(reader)

        assert sorted(found) == sorted(chain.from_iterable(lines.values())), f"outage after {polls} polls"
        assert reader.at_end()
        reader.close()


def test_what_was_read_before_the_outage_is_still_known_after_a_restart(landing, patient):
    land(landing, "1", ["aaaaaa"])
    first = patient()
    first.seek(None, {})
    assert drained(first) == ["aaaaaa"]
    take_away(landing)
    assert drained(first) == []
    position, state = first.position(), first.state()
    bring_back(landing)

    second = patient()
    second.seek(position, state)
    land(landing, "copy of 1", ["aaaaaa"])

    assert drained(second) == []
    assert second.at_end()


def test_an_outage_before_the_first_poll_forgets_nothing(landing, clock, patient):
    land(landing, "1", ["aaaaaa", "bbbbbb"])
    first = patient()
    first.seek(None, {})
    assert drained(first, 1) == ["aaaaaa"]
    middle = first.position()
    assert drained(first) == ["bbbbbb"]
    end, state = first.position(), first.state()

    for position, known, expected in ((middle, {}, ["bbbbbb"]), (end, state, [])):
        reader = patient()
        reader.seek(position, known)
        take_away(landing)
        reader._reader.close()
        assert drained(reader) == []
        bring_back(landing)
        clock.now_us += 60 * SECOND
        assert drained(reader) == expected


def test_a_change_of_state_is_told_once(landing, clock, patient):
    land(landing, "1", ["aaaaaa"])
    reader = patient()
    reader.seek(None, {})
    drained(reader)
    take_away(landing)
    drained(reader)

    assert reader.state()
    assert not reader.state()
    bring_back(landing)
    clock.now_us += 60 * SECOND
    drained(reader)
    assert not reader.state()


def test_it_tries_again_only_when_it_is_time(landing, clock, patient, caplog):
    reader = patient()
    reader.seek(None, {})
    take_away(landing)
    drained(reader)
    assert len(caplog.records) == 1
    assert not reader.at_end()

    clock.now_us += 2 * SECOND
    drained(reader)
    assert len(caplog.records) == 2
    bring_back(landing)
    land(landing, "1", ["aaaaaa"])
    clock.now_us += 2 * SECOND - 1
    assert drained(reader) == []

    clock.now_us += 1
    assert drained(reader) == ["aaaaaa"]


def test_an_error_that_does_not_pass_is_raised(clock):
    class Lost(LandedFiles):
        def poll(self):
            raise PositionLost("gone")

    reader = PatientReader("s", lambda: Lost(FolderConfig(Path("x")), clock), clock, lambda: 1.0)

    with pytest.raises(PositionLost):
        reader.poll()


def test_a_source_that_does_not_say_how_far_behind_it_is_ends_nothing(clock):
    class Silent(LandedFiles):
        def behind(self):
            raise SourceUnavailable("no answer")

    reader = PatientReader("s", lambda: Silent(FolderConfig(Path("x")), clock), clock, lambda: 1.0)

    assert reader.behind() == 0


def test_waits_double_up_to_a_bound_and_are_spread_by_chance():
    assert [wait_after(n, 1.0) for n in range(1, 7)] == [1, 2, 4, 8, 16, WAIT_MAX_S]
    assert wait_after(10_000, 1.0) == WAIT_MAX_S
    assert wait_after(3, 0.0) == 2.0
    assert [wait_after(n, 1.0, 3.0) for n in range(1, 5)] == [1, 2, 3, 3]
    assert wait_after(10_000, 1.0, 86_400) == 86_400
