"""What collectors refuse: one entry at once, the rest counted, and dead letters of the plant (M28, M50)."""

from __future__ import annotations

from canonical.contracts import FaultCode
from canonical.mapping import load
from canonical.plants import shipped
from dataflows.collect import Keep
from dataflows.collectors.refusals import PIECE_BYTES_MAX, TOLD_EVERY_US, WORDS_CHARS_MAX, WORDS_MAX, Refusals
from dataflows.dead_letter_box import HINTS
from dataflows.items import Commit, Shard, Work
from dataflows.refused_stream import RefusedStream
from sinks.dead_letters import parse
from sinks.memory import MemoryLog
from tests import scripted_flow

FLOOD = 10_000
SHARD = "collected:line"
PLANT_A = next(path for path in shipped() if path.stem == "plant_a")


def flooded() -> tuple[Refusals, list]:
    refusals, told = Refusals(), []
    for number in range(FLOOD):
        refusals.refuse(FaultCode.FLOODED, f"10.0.0.{number % 256}: " + "x" * 1_000, b"%d" % number * 10_000)
        refusals.refuse(FaultCode.OVERSIZE, "10.0.0.1: too long")
        told += refusals.due(number * 2 * TOLD_EVERY_US // FLOOD)
    return refusals, told + refusals.due(3 * TOLD_EVERY_US)


def test_a_flood_is_one_entry_of_each_code_at_once_and_one_in_an_interval_that_counts_the_rest():
    _, told = flooded()
    by_code = {code: [each.count for each in told if each.code is code] for code in FaultCode}
    assert by_code[FaultCode.OVERSIZE] == by_code[FaultCode.FLOODED] == [1, FLOOD // 2, FLOOD // 2 - 1]
    first, second, *_ = (each for each in told if each.code is FaultCode.FLOODED)
    assert not first.detail.startswith("1 times")
    assert second.detail.startswith(f"{FLOOD // 2:,} times: 10.0.0.1: ")
    assert second.detail.endswith("; and others")
    assert len(second.detail) <= 1_024
    assert all(len(each.words) <= WORDS_MAX and len(each.piece) <= PIECE_BYTES_MAX for each in told)
    assert {len(words) for words in first.words} == {WORDS_CHARS_MAX}


def test_entries_are_committed_beside_the_records_and_become_dead_letters_of_the_plant():
    refusals, now_us = Refusals(), 1_760_000_000_000_000
    shard = Shard(SHARD)
    keep = Keep(shard, {}, {SHARD: refusals})
    assert list(keep.work(Work(now_us)))
    assert not shard.pending, "there is nothing to commit"
    refusals.refuse(FaultCode.UNSAFE_NAME, "files.example: '../\\udce4'", b"../\xe4")
    list(keep.work(Work(now_us)))
    assert shard.pending
    keep.commit(commit := Commit(now_us, ""))
    assert not shard.pending
    log = MemoryLog()
    log.restore(SHARD)
    log.commit(SHARD, "", {}, commit.records)
    assert {record.stream for record in commit.records} == {"refused:line"}
    raw = RefusedStream(log.store, "refused:line").poll()
    outcome = scripted_flow.run(load(PLANT_A), [(now_us, raw)], now_us + 1)
    (letter,) = map(parse, outcome.stored("dead-letters"))
    assert (letter.fault.code, letter.fault.plant, letter.stage) == (FaultCode.UNSAFE_NAME, "A", "refuse")
    assert (letter.fault.detail, letter.value, letter.original) == ("files.example: '../\\udce4'", b"../\xe4", False)
    totals = outcome.totals()
    assert (totals["read"], totals["faults"]) == (1, 1)
    assert scripted_flow.balanced(totals)


def test_every_code_says_what_to_do():
    assert HINTS.keys() == set(FaultCode)
