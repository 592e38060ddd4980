"""The audit is clean on whatever traffic, at every commit and while the log grows, and finds any damage (M31).

Random traffic is that of ``test_tiling``: sessions, disorder, duplicates, conflicts, gaps that stay and gaps
that are filled late, operational and analysed events, absurd counters, records that cannot be read.
"""

from __future__ import annotations

import copy
import json
from dataclasses import replace

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dataflows.audit import Reading
from dataflows.sources.shard_source import Pace
from sinks.audit.check import Scope, audit
from sinks.audit.ground import opened
from sinks.memory import MemoryStore
from tests import scripted_flow
from tests.audited import EVERYTHING, audited, shards
from tests.property import test_tiling as traffic

LEDGER = ("ledger", "ranges")
COUNTED = ("first_seq", "last_seq", "events", "good", "scrap", "rework", "machine_us", "energy_mwh")
modes = st.sampled_from(["number", "number", "arrival"])
intervals = st.sampled_from([0, 2])


class Moments(MemoryStore):
    """A store that can be read as it was after any of its commits."""

    def __init__(self):
        super().__init__()
        self.ends = [{}]
        self.moment = None

    def committed(self):
        self.ends.append({stream: len(rows) for stream, rows in self.records.items()})

    def end(self, stream):
        return super().end(stream) if self.moment is None else self.ends[self.moment].get(stream, 0)

    def read(self, stream, after_offset, limit):
        return super().read(stream, after_offset, min(limit, max(self.end(stream) - after_offset, 0)))


def made(plant, drafts, cuts, interval_s, mode):
    if mode == "arrival":
        content = plant.model_dump(mode="json")
        content["sequencing"] |= {"mode": "arrival"}
        content["fields"].pop("seq")
        plant = type(plant).model_validate(content)
    fed = traffic.batches(traffic.told(plant, drafts), cuts)
    store = Moments()
    pace = Pace(until_end=True, idle_wait_us=0, commit_interval_us=interval_s * traffic.SECOND_US)
    scripted_flow.run(
        plant, fed, fed[-1][0] + 100 * traffic.SECOND_US, store=store, pace=pace, committed=store.committed
    )
    return store


def findings(found):
    return [
        f"{f.kind} {f.source}/{f.session} {f.first_seq}-{f.last_seq}: {f.what}; expected {f.expected}, found {f.found}"
        for f in found.findings
    ]


@settings(max_examples=15)
@given(traffic.mappings, traffic.drafts_, traffic.cuts_, intervals, modes, st.integers(0, 60))
def test_the_audit_is_clean_at_every_commit(plant, drafts, cuts, interval_s, mode, moment):
    store = made(plant, drafts, cuts, interval_s, mode)
    whole = audited(store)
    assert findings(whole) == []
    assert whole.records == len(drafts)
    store.moment = min(moment, len(store.ends) - 1)
    assert findings(audited(store)) == []


@settings(max_examples=15)
@given(traffic.mappings, traffic.drafts_, traffic.cuts_, st.tuples(*[st.integers(0, 60)] * 3))
def test_a_log_that_grows_while_it_is_read_is_clean(plant, drafts, cuts, moments):
    """The ledger as of one commit, the rest as of a later one, and what the ledger got meanwhile."""
    store = made(plant, drafts, cuts, 0, "number")
    first, second, third = sorted(min(moment, len(store.ends) - 1) for moment in moments)
    inputs = shards(store)
    order = [name for name in inputs if name not in LEDGER]
    with opened(None) as ground, Reading(inputs, ground, numbered=True) as log:
        store.moment = first
        for name in LEDGER:
            log.read(name, None, later=False)
        store.moment = second
        for name in order:
            if name not in {"trail", "usage", "states", "telemetry"}:
                log.read(name, None, later=False)
        store.moment = third
        for name in LEDGER:
            log.read(name, None, later=True)
        assert findings(audit(ground, EVERYTHING, findings_max=100)) == []
        assert log.gone == []


@settings(max_examples=12)
@given(traffic.mappings, traffic.drafts_, traffic.cuts_, st.data())
def test_any_record_that_is_gone_is_missed(plant, drafts, cuts, data):
    store = made(plant, drafts, cuts, 0, "number")
    streams = [stream for stream in ("confirmations", "ranges", "gaps", "events", "dead-letters") if store.end(stream)]
    assume(streams)
    stream = data.draw(st.sampled_from(streams))
    damaged = copy.deepcopy(store)
    place = data.draw(st.integers(0, store.end(stream) - 1))
    if data.draw(st.booleans()):
        del damaged.records[stream][place]
    else:
        damaged.records[stream].append(damaged.records[stream][place])
    assert not audited(renumbered(damaged)).clean


@settings(max_examples=12)
@given(traffic.mappings, traffic.drafts_, traffic.cuts_, st.sampled_from(["confirmations", "ranges"]), st.data())
def test_any_number_that_is_altered_is_seen(plant, drafts, cuts, stream, data):
    store = made(plant, drafts, cuts, 0, "number")
    assume(store.end(stream))
    place = data.draw(st.integers(0, store.end(stream) - 1))
    stored = store.records[stream][place]
    lines = [json.loads(line) for line in stored.value.splitlines()]
    line = data.draw(st.sampled_from(lines))
    name = data.draw(st.sampled_from(COUNTED[:3] if line.get("posting_id") is None else COUNTED))
    line[name] += data.draw(st.sampled_from([1, 1000]))
    value = b"\n".join(json.dumps(line).encode() for line in lines)
    store.records[stream][place] = replace(stored, value=value)
    found = audited(store)
    assert not found.clean
    assert (line["source"], line["session"]) in {(f.source, f.session) for f in found.findings}


@settings(max_examples=12)
@given(traffic.mappings, traffic.drafts_, traffic.cuts_, st.data())
def test_a_narrow_scope_invents_nothing(plant, drafts, cuts, data):
    store = made(plant, drafts, cuts, 0, "number")
    bound = st.none() | st.integers(0, 200).map(lambda s: traffic.NOW_US + s * traffic.SECOND_US)
    scope = Scope(
        plant=data.draw(st.sampled_from([None, "P", "Q"])),
        order=data.draw(st.sampled_from([None, "o0", "o1"])),
        since_us=data.draw(bound),
        until_us=data.draw(bound),
    )
    assert findings(audited(store, scope)) == []


def renumbered(store):
    """Number the records anew, as a log would that had never held the others."""
    for stream, rows in store.records.items():
        store.records[stream] = [replace(row, offset=number) for number, row in enumerate(rows, 1)]
    return store
