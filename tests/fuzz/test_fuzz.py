"""Bad input stops only itself: a bounded share of the fuzzer's run, its corpus, and proof that it finds what is broken.

Requirements: issue B point 4; M04-M07 where they concern faults, M28; DESIGN laws 1, 4, 6, 7.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pytest

from canonical import decoders
from canonical.contracts.fault import FaultCode
from canonical.decoders import avro_kernel, json_kernel
from canonical.decoders.parsed import Decoded, Parsed, ReadRecords
from canonical.mapping import PlantMapping
from canonical.records import RawRecords
from dataflows.confirmation_stages import Decode
from dataflows.sources.landed_files import LandedFiles
from sinks import dead_letters
from tests.fuzz import avro_targets, corpus, flow_targets, json_targets, pool, text_targets
from tests.fuzz.campaign import campaign, keep
from tests.fuzz.targets import all_targets, generator
from tests.fuzz.violation import Violation

SHARE = 40_000
CASES = corpus.cases()
NOT_OF_A_RECORD = {
    FaultCode.SESSIONS_EXHAUSTED, FaultCode.TOO_LATE, FaultCode.BOUND_REACHED, FaultCode.NOT_OWNER,
    FaultCode.UNSAFE_NAME, FaultCode.NOT_AUTHENTIC, FaultCode.FLOODED,
}  # fmt: skip
"""Faults of what came before or of who sends, which no single record has."""


@pytest.fixture(scope="module")
def child() -> Iterator[pool.Child]:
    child = pool.Child()
    yield child
    child.close()


def test_a_share_of_the_campaign_finds_nothing(tmp_path):
    report = campaign(SHARE, seed=20, jobs=2, out=tmp_path)
    assert not report.findings, "\n".join(f"{f.target}: {f.what} ({f.kept})" for f in report.findings)
    assert report.messages >= SHARE
    codes = {code for line in report.lines.values() for code in line.tally}
    assert set(FaultCode) - NOT_OF_A_RECORD <= codes, "every fault is met"
    assert all(line.messages for line in report.lines.values()), "every target has its share"


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_what_once_broke_something_breaks_nothing(child, case):
    task = {"target": case.target, "seed": 0, "index": 0, "values": pool.encoded(case.values)}
    answer = child.ask(task)
    assert not answer["found"], case.note
    assert case.tally is None or answer["tally"] == case.tally, case.note


def test_a_case_reads_as_it_was_written(tmp_path):
    values = (b"", bytes(range(256)), b"ab" * 5_000 + b"\n" + b"\0" * 40, b"\xff")
    case = corpus.Case("x", "json-a", "nothing", values, {"events": 1})
    path = corpus.write(tmp_path, case)
    assert corpus.cases(tmp_path) == [case]
    assert path.stat().st_size < 4_000


def test_a_seed_makes_the_same_messages_again():
    for name, target in all_targets().items():
        one, again, other = (target.batch(generator(seed, name, 0), 8) for seed in (1, 1, 2))
        assert one == again, name
        assert one != other, name


@pytest.mark.parametrize(("word", "kind"), [("ABORT", "crash"), ("HANG", "hang"), ("EAT", "memory")])
def test_what_kills_a_process_is_told_and_minimised(tmp_path, word, kind):
    name = f"planted-{word.lower()}"
    child = pool.Child(batch_s_max=2)
    task = {"target": name, "seed": 1, "index": 3, "count": 64}
    try:
        answer = child.ask(task)
        assert answer["found"].startswith(kind)
        assert child.ask({**task, "values": ["harmless"]})["tally"] == {"events": 1}, "the next batch is worked off"
    finally:
        child.close()
    values = [b"other", b"1" + word.encode() + b"2", b"more"]
    kept = keep(task, answer["found"], values, tmp_path, batch_s_max=2)
    assert corpus.cases(tmp_path)[0].values == (word.encode(),)
    assert kept.kept.parent == tmp_path


# What a decoder, a reader, a stage or the dead letters could do wrong. Each is planted and must be found.


def _without(parsed: Parsed, row: int) -> Parsed:
    keep_ = pa.array(np.arange(len(parsed.rows)) != row)
    return dataclasses.replace(
        parsed,
        rows=parsed.rows.filter(keep_),
        fields={name: column.filter(keep_) for name, column in parsed.fields.items()},
    )


def _drops_a_row(parsed: Parsed, _free: set[int]) -> Parsed:
    return _without(parsed, len(parsed.rows) // 2) if len(parsed.rows) > 20 else parsed


def _swaps_neighbours(parsed: Parsed, _free: set[int]) -> Parsed:
    n = len(parsed.rows)
    if n < 30:
        return parsed
    order = np.arange(n)
    order[[7, 8]] = 8, 7
    return dataclasses.replace(
        parsed, fields={name: column.take(pa.array(order)) for name, column in parsed.fields.items()}
    )


def _swallows_a_fault(parsed: Parsed, _free: set[int]) -> Parsed:
    return dataclasses.replace(parsed, faults=parsed.faults[1:]) if len(parsed.faults) > 1 else parsed


def _blames_the_neighbour(parsed: Parsed, free: set[int]) -> Parsed:
    if not parsed.faults or not free:
        return parsed
    moved = dataclasses.replace(parsed.faults[0], row=min(free))
    return dataclasses.replace(parsed, faults=sorted([moved, *parsed.faults[1:]], key=lambda fault: fault.row))


def _harms_the_neighbour(parsed: Parsed, _free: set[int]) -> Parsed:
    """A record behind one that is not UTF-8 loses its lot, or whatever comes first."""
    spoilt = {fault.row + 1 for fault in parsed.faults if fault.code == FaultCode.NOT_UTF8}
    name = next((name for name in ("lot", "reason", "material") if name in parsed.fields), None)
    if not spoilt or name is None:
        return parsed
    harmed = pa.array([row in spoilt for row in parsed.rows.to_pylist()], pa.bool_())
    column = pa.compute.if_else(harmed, pa.scalar("", parsed.fields[name].type), parsed.fields[name])
    return dataclasses.replace(parsed, fields={**parsed.fields, name: column})


Spoil = Callable[[Parsed, set[int]], Parsed]
"""What is done to a part of what a parser hands on, given the records that are neither rows nor faults."""

PLANTED: dict[str, Spoil] = {
    "a row is dropped": _drops_a_row,
    "neighbours are swapped": _swaps_neighbours,
    "a fault is swallowed": _swallows_a_fault,
    "another record is blamed": _blames_the_neighbour,
    "a neighbour is harmed": _harms_the_neighbour,
}
LINES = {
    "json": lambda: json_targets.targets()["json-a"],
    "csv": lambda: text_targets.targets()["csv-b"],
    "shdr": lambda: text_targets.targets()["shdr-m"],
    "avro": lambda: avro_targets.targets()["avro-messages"],
    "fixed": lambda: text_targets.targets()["fixed-columns"],
}


def spoilt(spoil: Spoil, parsed: Parsed, records: RawRecords) -> Parsed:
    """Spoil every part: which of them has the rows, and which the faults, is the parser's affair."""
    parts = (parsed, *parsed.further)
    taken = {row for part in parts for row in (*part.rows.to_pylist(), *(fault.row for fault in part.faults))}
    free = set(range(len(records))) - taken
    first, *further = (spoil(part, free) for part in parts)
    return dataclasses.replace(first, further=tuple(further))


def found_after(target, messages_max: int) -> int:
    """Return after how many messages a promise is seen broken; more than the bound if it is not."""
    messages = index = 0
    while messages <= messages_max:
        values = target.batch(generator(5, "planted", index), target.batch_messages)
        messages += len(values)
        try:
            target.check(values, generator(5, "planted", index, "check"))
        except Violation:
            return messages
        index += 1
    return messages


SENSELESS = {
    # Plants M, F and V map no text of a record, or seldom one.
    *((form, "a neighbour is harmed") for form in ("shdr", "fixed", "avro")),
    # An Avro record is an event or a fault, so none is free to be blamed.
    ("avro", "another record is blamed"),
}


@pytest.mark.parametrize(("form", "bug"), [pair for pair in itertools.product(LINES, PLANTED) if pair not in SENSELESS])
def test_a_decoder_that_lies_is_found(monkeypatch, form, bug):
    parse, spoil = decoders.PARSERS[form], PLANTED[bug]
    target = LINES[form]()

    def lying(mapping: PlantMapping, records: RawRecords) -> Parsed:
        return spoilt(spoil, parse(mapping, records), records)

    monkeypatch.setitem(decoders.PARSERS, form, lying)
    for kernel in (json_kernel, avro_kernel):
        monkeypatch.setattr(kernel, "_READ", None)  # what a kernel reads, no parser sees
    assert found_after(target, 4_000) <= 4_000


@pytest.mark.skipif(json_kernel._READ is None, reason="the kernel is not compiled: no C compiler here")
@pytest.mark.parametrize("column", ["seq", "occurred_us", "good", "order", "type", "unit"])
def test_a_kernel_that_lies_is_found(monkeypatch, column):
    read, parse = decoders._KERNELS["json"]

    def lying(*arguments: object) -> ReadRecords:
        done = read(*arguments)
        events = done.events
        if column in events:
            events = events.with_columns({column: np.roll(events[column], 1)})
        return ReadRecords(events, done.skipped)

    monkeypatch.setitem(decoders._KERNELS, "json", (lying, parse))
    assert found_after(LINES["json"](), 4_000) <= 4_000


def test_a_decoder_that_remembers_is_found(monkeypatch):
    calls = []

    def forgetful(done: Decoded) -> Decoded:
        calls.append(0)
        return Decoded(done.events.take(np.arange(1, len(done.events))), done.faults, done.skipped + 1) if (
            len(calls) % 50 == 0 and len(done.events)
        ) else done  # fmt: skip

    decode = decoders.decode
    monkeypatch.setattr("tests.fuzz.outcome.decode", lambda *arguments: forgetful(decode(*arguments)))
    assert found_after(json_targets.targets()["json-c"], 6_000) <= 6_000


def _uncounted(work: Callable[..., Iterator[object]]) -> Callable[..., Iterator[object]]:
    def counting_too_few(self: Decode, item: object) -> Iterator[object]:
        yield from work(self, item)
        self.unread["skipped"] = 0

    return counting_too_few


def test_a_stage_that_forgets_to_count_is_found(monkeypatch):
    monkeypatch.setattr(Decode, "work", _uncounted(Decode.work))
    assert found_after(flow_targets.targets()["flow-json-a"], 4_000) <= 4_000


def test_dead_letters_with_other_bytes_are_found(monkeypatch):
    kept = dead_letters._letter
    monkeypatch.setattr(
        dead_letters,
        "_letter",
        lambda *told: (letter := kept(*told)).model_copy(update={"value": letter.value.strip()}),
    )
    assert found_after(text_targets.targets()["csv-b"], 8_000) <= 8_000


def test_a_reader_that_loses_a_line_is_found(monkeypatch):
    poll = LandedFiles.poll

    def forgetful(self: LandedFiles) -> RawRecords:
        records = poll(self)
        return records if len(records) < 3 else dataclasses.replace(
            records, starts=records.starts[:-1], ends=records.ends[:-1], offsets=records.offsets[:-1]
        )  # fmt: skip

    monkeypatch.setattr(LandedFiles, "poll", forgetful)
    assert found_after(flow_targets.targets()["file-shdr-m"], 6_000) <= 6_000
