"""Batches taken ahead come in order, once, and not without bound (DESIGN law 7)."""

from __future__ import annotations

import threading
from contextlib import suppress

import numpy as np
import pytest

from canonical.records import RawRecords
from dataflows.sources.fetch_ahead import AHEAD_MAX, FetchAhead


class Numbers:
    """Gives batches of one record each, 0, 1, 2 ..., and notes in which thread."""

    def __init__(self) -> None:
        self.taken: list[bool] = []
        self.go = threading.Event()
        self.go.set()

    def take(self) -> RawRecords:
        self.go.wait(30)
        self.taken.append(threading.current_thread() is threading.main_thread())
        return RawRecords.from_values([b"x"], np.array([len(self.taken) - 1]))


def test_batches_come_in_order_whether_taken_ahead_or_not():
    numbers = Numbers()
    batches = FetchAhead(numbers.take)
    found = []
    for step in range(10):
        found += batches.next().offsets.tolist()
        if step % 3:
            batches.begin()
            batches.begin()  # once is enough
    batches.drop()
    assert found == list(range(10))
    assert numbers.taken == [True, True, False, False, True, False, False, True, False, False]


def test_what_was_taken_ahead_is_forgotten():
    numbers = Numbers()
    batches = FetchAhead(numbers.take)
    batches.begin()
    batches.drop()
    batches.drop()
    assert batches.next().offsets.tolist() == [1]


def test_no_more_than_some_batches_are_ahead():
    many = [Numbers() for _ in range(AHEAD_MAX + 2)]
    batches = [FetchAhead(numbers.take) for numbers in many]
    for each in batches:
        each.begin()
    for each in batches:
        each.next()
    assert [numbers.taken for numbers in many] == [[False]] * AHEAD_MAX + [[True]] * 2
    batches[-1].begin()  # there is room again
    batches[-1].drop()
    assert many[-1].taken == [True, False]


def test_an_error_comes_where_the_batch_would():
    def take() -> RawRecords:
        raise OSError("gone")

    for _ in range(AHEAD_MAX + 1):  # and leaves its room to others
        batches = FetchAhead(take)
        batches.begin()
        with pytest.raises(OSError, match="gone"):
            batches.next()
    with suppress(OSError):
        batches.next()
