"""Lag: the age of the oldest unread record, against a queue of records that each remember when they were seen."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dataflows import lag
from dataflows.lag import Lag

STEPS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 100)), max_size=60)


@given(STEPS)
def test_it_is_that_of_a_queue_in_which_each_record_knows_when_it_was_first_told(steps):
    shard, queue, done, now_us = Lag(), [], 0, 1_000
    for arriving, read, passed_us in steps:
        now_us += passed_us
        queue += [now_us] * arriving
        read_now = min(read, len(queue))
        del queue[:read_now]
        done += read_now

        assert shard.told(done, len(queue), now_us) == (now_us - queue[0] if queue else 0)


@given(st.integers(2, 5_000))
def test_however_long_it_is_behind_what_it_keeps_is_bounded(tellings):
    shard = Lag()
    for now_us in range(tellings):
        assert shard.told(0, now_us + 1, now_us) == now_us
        assert len(shard._tellings) <= lag.TELLINGS_MAX
    # Half of it is read: the answer is rough by then, and neither before the truth nor from the beginning.
    half_us = shard.told(tellings // 2, tellings - tellings // 2, tellings) if tellings > 3 else 1
    assert 0 < half_us <= tellings - tellings // 2 + 1


def test_what_is_gone_was_never_there():
    shard = Lag()
    shard.told(0, 100, 0)

    assert shard.told(0, 10, 5) == 5
    assert shard.told(10, 3, 9) == 0 + 0
