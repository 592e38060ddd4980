"""The whole path under fuzz: records through the real ``confirmations`` flow, and what it accounts for."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random

import numpy as np

from canonical.mapping import PlantMapping
from canonical.records import RawRecords
from sinks import dead_letters
from sinks.memory import MemoryStore
from tests import scripted_flow
from tests.fuzz import avro_targets, json_targets, text_targets
from tests.fuzz.decode_target import DecodeTarget
from tests.fuzz.file_target import FileTarget
from tests.fuzz.outcome import NOW_US, Tally
from tests.fuzz.targets import Target
from tests.fuzz.violation import require

_LATER_US = NOW_US + 86_400_000_000


class FlowTarget:
    """Messages of one plant through every stage, in one go, in other batches, and with a restart between."""

    batch_messages = 800

    def __init__(self, lines: DecodeTarget, weight: float) -> None:
        self.lines = lines
        self.weight = weight

    def batch(self, rng: Random, count: int) -> list[bytes]:
        values = self.lines.batch(rng, count)
        for _ in range(count // 20):
            values[rng.randrange(count)] = rng.choice(values)
        return values

    def check(self, values: Sequence[bytes], rng: Random) -> Tally:
        mapping = self.lines.mapping
        once = scripted_flow.run(mapping, _cut(values, []), _LATER_US)
        tally = _accounted(once, values)
        cuts = sorted(rng.randint(0, len(values)) for _ in range(rng.choice((1, 3, 9))))
        _same(once, scripted_flow.run(mapping, _cut(values, cuts), _LATER_US), "cut into other batches")
        _same(once, _restarted(mapping, values, cuts), "after a restart between batches")
        return tally


def _cut(values: Sequence[bytes], cuts: Sequence[int]) -> list[tuple[int, RawRecords]]:
    bounds = sorted({0, len(values), *cuts})
    parts = itertools.pairwise(bounds)
    return [
        (
            NOW_US,
            RawRecords.from_values(
                values[a:b], np.arange(a, b, dtype=np.int64), "fuzz", 3, [b"k%d" % i for i in range(a, b)]
            ),
        )
        for a, b in parts
    ]


def _restarted(mapping: PlantMapping, values: Sequence[bytes], cuts: Sequence[int]) -> scripted_flow.Outcome:
    """Run over the first batches, then go on from what was committed."""
    fed, store = _cut(values, cuts), MemoryStore()
    if len(fed) > 1:
        scripted_flow.run(mapping, fed[: len(fed) // 2], NOW_US, store)
    return scripted_flow.run(mapping, fed, _LATER_US, store)


def _accounted(outcome: scripted_flow.Outcome, values: Sequence[bytes]) -> Tally:
    """Every record is in one class, and each fault is a dead letter with the record's bytes (laws 1, 6; M28)."""
    letters = [dead_letters.parse(stored) for stored in outcome.stored("dead-letters")]
    offsets = [letter.fault.offset for letter in letters]
    require(len(set(offsets)) == len(offsets), "a record is a dead letter once", offsets)
    for letter in letters:
        require(0 <= letter.fault.offset < len(values), "a dead letter names its record", letter)
        if letter.original:
            place = letter.fault.offset
            require(letter.value == values[place], "a dead letter keeps the bytes", values[place], letter.value)
            require(letter.key == b"k%d" % place, "a dead letter keeps the key", letter.key)
    if not outcome.stored("ledger"):
        require(not letters, "what is a fault is in the ledger")
        return Counter({"skipped": len(values)})
    totals = outcome.totals()
    require(scripted_flow.balanced(totals), "the ledger balances", totals)
    require(totals["read"] + totals["skipped"] == len(values), "the ledger counts every record", totals, len(values))
    require(totals["faults"] == len(letters), "every fault is a dead letter", totals, len(letters))
    confirmed = sum(each["events"] for each in outcome.confirmations()) + totals["open"]
    require(
        confirmed == totals["accounted"], "what is accounted for is in confirmations, made or open", confirmed, totals
    )
    passed_on = len(outcome.stored("events"))
    require(passed_on == totals["operational"], "what is operational is passed on", passed_on, totals)
    codes = Counter(letter.fault.code.value for letter in letters)
    return (
        Counter({name: totals[name] for name in ("skipped", "duplicates", "held")})
        + codes
        + Counter({"events": totals["accounted"] + totals["operational"] + totals["analytics_only"]})
    )


def _same(once: scripted_flow.Outcome, other: scripted_flow.Outcome, how: str) -> None:
    for stream in ("confirmations", "events", "gaps"):
        ours, theirs = (sorted(_body(each.value) for each in out.stored(stream)) for out in (once, other))
        differing = next(
            (pair for pair in zip(ours, theirs, strict=False) if pair[0] != pair[1]), (len(ours), len(theirs))
        )
        require(ours == theirs, f"{stream} are the same {how}", *differing)
    ours, theirs = (
        sorted(
            (letter.fault.offset, letter.fault.code) for letter in map(dead_letters.parse, out.stored("dead-letters"))
        )
        for out in (once, other)
    )
    require(ours == theirs, f"dead letters are the same {how}", set(ours) ^ set(theirs))
    if once.stored("ledger") or other.stored("ledger"):
        ours, theirs = ({**out.totals(), "committed_us": 0} for out in (once, other))
        require(ours == theirs, f"totals are the same {how}", ours, theirs)


def _body(value: bytes) -> str:
    return json.dumps(json.loads(value), sort_keys=True)


def targets() -> Mapping[str, Target]:
    lines = {**json_targets.targets(), **avro_targets.targets(), **text_targets.targets()}
    flows = {
        "json-a": 0.8, "json-c": 0.4, "json-wide": 0.6, "json-cloudevents": 0.4, "avro-messages": 0.5, "csv-b": 0.6,
        "csv-commas": 0.4, "shdr-m": 0.5,
    }  # fmt: skip
    files = {"json-a": 0.5, "csv-b": 0.4, "csv-commas": 0.4, "fixed-columns": 0.3, "shdr-m": 0.4}
    made: dict[str, Target] = {f"flow-{name}": FlowTarget(_of(lines, name), weight) for name, weight in flows.items()}
    # Numbers that wrap and begin at 0, as Sparkplug's.
    wrapping = _of(lines, "json-cloudevents")
    numbered = wrapping.mapping.sequencing.model_copy(update={"start": 0})
    fixed = dataclasses.replace(
        wrapping, mapping=wrapping.mapping.model_copy(update={"sequencing": numbered}), known={}
    )
    made["flow-json-wrapping"] = FlowTarget(fixed, 0.4)
    made |= {f"file-{name}": FileTarget(_of(lines, name), weight) for name, weight in files.items()}
    return made


def _of(lines: Mapping[str, Target], name: str) -> DecodeTarget:
    target = lines[name]
    assert isinstance(target, DecodeTarget)
    return target
