"""The simulator: deterministic, its truth adds up, and its records mean what the truth says."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import UTC, date, datetime
from fnmatch import fnmatch

import numpy as np
import pyarrow as pa
import pytest
from confluent_kafka import Consumer, Producer
from hypothesis import given, settings
from hypothesis import strategies as st

from canonical.columns import EVENT_TYPES, QUANTITY_COLUMNS, Vocabulary
from canonical.contracts.fault import FaultCode
from canonical.decoders import decode
from canonical.mapping import load
from canonical.plants import shipped
from canonical.policy import Route
from canonical.records import NO_RECORDS, RawRecords
from dataflows.simulator import (
    Disturbance,
    FolderWriter,
    KafkaWriter,
    LandingFolderInUse,
    SimulationConfig,
    Truth,
    compare,
    simulate,
)
from dataflows.simulator.calendar import Calendar
from dataflows.simulator.truth import MEASURES, ORDER_KEY
from dataflows.simulator.witness import Fate, Made, Witness
from sinks.dead_letters import parse
from tests import scripted_flow

SPRING = datetime(2026, 3, 28, 20, tzinfo=UTC)  # the night in which Berlin's clock goes forward
AUTUMN = datetime(2026, 10, 24, 20, tzinfo=UTC)  # and back
PLANTS = ("A", "B", "C", "M", "P")


class Collected:
    """A writer that keeps each plant's drops."""

    def __init__(self):
        self.drops = defaultdict(list)

    def write(self, mapping, drop):
        self.drops[mapping.plant].append(drop)

    def flush(self):
        pass


def simulated(config):
    out = Collected()
    return simulate(config, out), out.drops


def mapping_of(plant):
    return next(m for m in map(load, shipped()) if m.plant == plant)


configs = st.builds(
    SimulationConfig,
    seed=st.integers(0, 2**32),
    start=st.sampled_from([SPRING, AUTUMN, datetime(2026, 5, 4, 3, 17, 5, tzinfo=UTC)]),
    hours=st.integers(4, 40),
    plants=st.lists(st.sampled_from(PLANTS), unique=True, min_size=1).map(tuple),
    machines=st.integers(1, 4),
    orders=st.integers(1, 6),
    records=st.integers(1_000, 4_000),
    disturbance=st.builds(
        Disturbance,
        duplicates=st.sampled_from([0, 0.01, 0.3]),
        conflicts=st.sampled_from([0, 0.05]),
        disorder=st.sampled_from([0, 0.03, 0.5]),
        displacement_max=st.integers(1, 80),
        gaps=st.sampled_from([0, 0.01, 0.1]),
        late_fills=st.sampled_from([0, 0.5, 1]),
        bursts_per_day=st.sampled_from([0, 6]),
        restarts_per_day=st.sampled_from([0, 2, 12]),
        resets_per_day=st.sampled_from([0, 2, 12]),
        redrops=st.sampled_from([0, 0.5]),
        regrowths=st.sampled_from([0, 0.5]),
        malformed=st.sampled_from([0, 0.01, 0.2]),
    ),
)


@given(configs)
@settings(max_examples=25, deadline=None)
def test_truth_adds_up(config):
    truth, drops = simulated(config)
    for plant, expected in truth.plants.items():
        written = sum(len(drop.records) for drop in drops[plant])
        events = expected.accounted + expected.operational + expected.analytics_only
        assert expected.records == written
        assert written == events + expected.duplicates + sum(expected.faults.values())
        assert sum(o.events for o in expected.orders) == sum(s.events for s in expected.shifts) == expected.accounted
        for measure in MEASURES:
            by_order = sum(getattr(o, measure) for o in expected.orders)
            assert by_order == sum(getattr(s, measure) for s in expected.shifts)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_seed_decides_every_byte(seed):
    config = SimulationConfig.small(SPRING, seed)
    truth, drops = simulated(config)
    again, drops_again = simulated(config)
    assert truth == again
    assert drops == drops_again
    other, drops_other = simulated(config.model_copy(update={"seed": seed + 7}))
    assert all(drops[plant] != drops_other[plant] for plant in PLANTS)
    assert truth.plants != other.plants


def test_a_plant_is_the_same_whichever_others_are_simulated():
    config = SimulationConfig.small(SPRING)
    alone = config.model_copy(update={"plants": ("B",), "records": round(config.records * 0.12)})
    assert simulated(alone)[1]["B"] == simulated(config)[1]["B"]


@given(configs)
@settings(max_examples=25, deadline=None)
def test_every_record_decodes_as_the_truth_says(config):
    truth, drops = simulated(config)
    now_us = config.end_us + 3_600_000_000
    for plant, expected in truth.plants.items():
        mapping = mapping_of(plant)
        files = [d.header + d.line_end.join(r for _, r in d.records) + d.line_end for d in drops[plant]]
        raw = RawRecords.from_lines(b"".join(files))
        decoded = decode(mapping, raw, vocabulary := Vocabulary(), now_us)
        found = Counter(fault.code.value for fault in decoded.faults)
        at_decoding = Counter(expected.faults)
        conflicts = at_decoding.pop("CONFLICTING_DUPLICATE", 0)
        assert found == at_decoding, [(f.code, f.detail, raw.value(f.row)[:200]) for f in decoded.faults]
        assert decoded.skipped == sum(bool(d.header) for d in drops[plant])
        assert len(decoded.events) == expected.records - sum(at_decoding.values())
        firsts = decoded.events.take(np.array(_firsts(mapping, decoded.events), np.int64))
        copies = len(decoded.events) - len(firsts)
        assert copies == expected.duplicates + conflicts
        assert _fates(mapping, firsts) == {
            Route.AGGREGATED: expected.accounted,
            Route.OPERATIONAL: expected.operational,
            Route.ANALYTICS_ONLY: expected.analytics_only,
        }
        if not conflicts:  # which of two that conflict comes first is the sequencer's to say
            assert _sums(mapping, firsts, vocabulary) == {
                tuple(getattr(o, k) for k in ORDER_KEY): [getattr(o, m) for m in MEASURES] for o in expected.orders
            }
        assert _missing(mapping, firsts) == expected.missing


def _numbers(mapping, events):
    """The number of each event in its session; where numbers wrap, the nearest to the one that arrived before it."""
    numbers, modulus, latest = events["seq"].tolist(), mapping.sequencing.modulus, {}
    if modulus:
        for row, key in enumerate(zip(events["source"].tolist(), events["session"].tolist(), strict=True)):
            before = latest.get(key, numbers[row])
            numbers[row] = latest[key] = before + (numbers[row] - before + modulus // 2) % modulus - modulus // 2
    return numbers


def _firsts(mapping, events):
    """Rows of the first copy of each event, in the order of arrival: a naive twin of sequence."""
    keys = [events[k].tolist() for k in ("source", "session")]
    keys.append(_numbers(mapping, events))
    if mapping.sequencing.mode != "number":
        keys = [events[k].tolist() for k in ("source", "identity")]
    seen = {}
    for row, key in enumerate(zip(*keys, strict=True)):
        seen.setdefault(key, row)
    return sorted(seen.values())


def _routes(mapping, events):
    return [mapping.routes[EVENT_TYPES[t]] for t in events["type"].tolist()]


def _fates(mapping, events):
    return {**dict.fromkeys(Route, 0), **Counter(_routes(mapping, events))}


def _sums(mapping, events, vocabulary):
    """Sum by order, readings turned into quantities row by row: a naive twin of counter and aggregate."""
    keys = [vocabulary.text(events[k]) for k in ORDER_KEY]
    quantities = [events[q].tolist() for q in QUANTITY_COLUMNS]
    counters = [events["good_counter"].tolist(), events["scrap_counter"].tolist()]
    session, routes = np.cumsum(events["session_start"]).tolist(), _routes(mapping, events)
    rows = range(len(events))
    if mapping.counters.scope == "source":  # the time of a reading says which is newer
        session, rows = (
            vocabulary.text(events["work_center"]),
            np.argsort(events["occurred_us"], kind="stable").tolist(),
        )
    last, sums = {}, {}
    for row in rows:
        route = routes[row]
        key = tuple(k[row] for k in keys)
        made = [q[row] for q in quantities]
        for i, counter in enumerate(counters):
            if (reading := counter[row]) >= 0:
                before = last.get((key[0], session[row], i), reading)
                made[i] += reading - before if reading >= before else reading
                last[key[0], session[row], i] = reading
        if route is Route.AGGREGATED:
            total = sums.setdefault(key, [0] * len(MEASURES))
            sums[key] = [a + b for a, b in zip(total, [*made, 1], strict=True)]
    return sums


def _missing(mapping, events):
    if mapping.sequencing.mode == "arrival":
        return 0
    numbers = defaultdict(list)
    keys = (events[k].tolist() for k in ("source", "session"))
    for source, session, number in zip(*keys, _numbers(mapping, events), strict=True):
        numbers[source, session].append(number)
    first = {} if mapping.sequencing.start == "any" else {"least": mapping.sequencing.start}
    return sum(max(n) + 1 - first.get("least", min(n)) - len(n) for n in numbers.values())


HOUR_US = 3_600_000_000


@pytest.mark.parametrize("repeats", ["read", "passed over"])
@pytest.mark.parametrize("minutes_apart", [0.001, 1.0])
@pytest.mark.parametrize("start", [SPRING, AUTUMN])
def test_the_flow_confirms_what_was_made(start, minutes_apart, repeats):
    """Files that follow each other at once leave holes to be filled in time; a minute apart, late."""
    config = SimulationConfig.small(start, seed=5)
    truth, drops = simulated(config)
    confirmations, ledger, faults = [], {}, {}
    for plant in PLANTS:
        batches, offset = [], 0
        for number, drop in enumerate(drops[plant]):
            if repeats == "passed over" and "_Kopie" in drop.name:
                continue
            file = drop.header + drop.line_end.join(record for _, record in drop.records) + drop.line_end
            at_us = config.end_us + round(number * minutes_apart * 60_000_000)
            batches.append((at_us, RawRecords.from_lines(file, offset)))
            offset += len(file)
        # Time goes on until every gap is declared and then until every run is idle.
        batches += [(at_us + hours * HOUR_US, NO_RECORDS) for hours in (1, 2)]
        outcome = scripted_flow.run(mapping_of(plant), batches, at_us + 3 * HOUR_US)
        confirmations += outcome.confirmations()
        ledger[plant] = outcome.totals()
        faults[plant] = Counter(parse(letter).fault.code.value for letter in outcome.stored("dead-letters"))
    assert compare(truth, confirmations, ledger, faults) == []
    late = ledger["A"]["late"]
    assert late == 0 if minutes_apart < 1 else late > 0


@pytest.mark.parametrize("minutes_apart", [0.001, 1.0])
def test_what_edge_nodes_lose_on_the_way_is_in_their_next_reading(minutes_apart):
    """Plant P: numbers that wrap, births and deaths, counters that go on over them (M09, M41)."""
    disturbance = Disturbance(gaps=0.01, restarts_per_day=5, resets_per_day=3, disorder=0.1, duplicates=0.05)
    config = SimulationConfig(seed=3, start=SPRING, plants=("P",), records=6_000, disturbance=disturbance)
    truth, drops = simulated(config)
    said = [record for drop in drops["P"] for _, record in drop.records]
    records = [json.loads(record) for record in said if record.startswith(b"{")]  # the rest is no payload
    assert {each.get("type") for each in records} >= {"NBIRTH", "DBIRTH", "NDATA", "DDATA", "NDEATH", "DDEATH"}
    assert sum("historical" in each for each in records) > 20 < len(truth.plants["P"].gaps)
    assert truth.plants["P"].duplicates > 100
    batches, offset = [], 0
    for number, drop in enumerate(drops["P"]):
        file = b"".join(record + drop.line_end for _, record in drop.records)
        at_us = config.end_us + round(number * minutes_apart * 60_000_000)
        batches.append((at_us, RawRecords.from_lines(file, offset)))
        offset += len(file)
    batches += [(at_us + hours * HOUR_US, NO_RECORDS) for hours in (1, 2)]
    outcome = scripted_flow.run(mapping_of("P"), batches, at_us + 3 * HOUR_US)
    faults = Counter(parse(letter).fault.code.value for letter in outcome.stored("dead-letters"))
    assert compare(truth, outcome.confirmations(), {"P": outcome.totals()}, {"P": faults}) == []


def test_orders_that_change_while_the_clock_is_set_back_have_their_own_quantities():
    """Plant B tells local times without an offset, so the hour comes twice (M41)."""
    config = SimulationConfig(seed=2, start=AUTUMN, hours=8, plants=("B",), machines=3, orders=12, records=1500)
    truth, drops = simulated(config)
    batches, offset = [], 0
    for number, drop in enumerate(drops["B"]):
        file = drop.header + drop.line_end.join(record for _, record in drop.records) + drop.line_end
        batches.append((config.end_us + number, RawRecords.from_lines(file, offset)))
        offset += len(file)
    batches += [(config.end_us + hours * HOUR_US, NO_RECORDS) for hours in (1, 2)]
    outcome = scripted_flow.run(mapping_of("B"), batches, config.end_us + 3 * HOUR_US)
    faults = Counter(parse(letter).fault.code.value for letter in outcome.stored("dead-letters"))
    assert compare(truth, outcome.confirmations(), {"B": outcome.totals()}, {"B": faults}) == []


def confirmed(plant, made):
    """Return the confirmations of events that were each confirmed alone."""
    rows = []
    for event, day, shift in made:
        row = {"plant": plant, **event._asdict(), "posting_date": day, "shift": shift, "events": 1}
        rows.append(row)
    return rows


def noon(hours):
    return int(datetime(2026, 3, 28, 11, tzinfo=UTC).timestamp() + hours * 3600) * 1_000_000


@pytest.fixture
def small_truth():
    """Three events of two orders in two shifts, one duplicate, one fault, one gap; and their outcome."""
    made = [
        (Made("M1", "O1", "0010", "L1", "H87", noon(0), good=5_000), date(2026, 3, 28), "early"),
        (Made("M1", "O1", "0010", "L1", "H87", noon(12), good=2_000, machine_us=7), date(2026, 3, 28), "night"),
        (Made("M1", "O2", "0010", "L2", "H87", noon(13), scrap=1_000), date(2026, 3, 28), "night"),
    ]
    witness = Witness("A", Calendar.of(mapping_of("A")))
    for event, _, _ in made:
        witness.event(event)
    witness.event(Fate.OPERATIONAL)
    witness.duplicates += 1
    witness.fault(FaultCode.NOT_UTF8)
    witness.gap("M1", "boot", 4, 6)
    truth = Truth(config=SimulationConfig.small(SPRING), plants={"A": witness.truth()})
    ledger = {
        "read": 6, "accounted": 3, "operational": 1, "analytics_only": 0, "duplicates": 1, "faults": 1, "missing": 3,
        "held": 0,
    }  # fmt: skip
    return truth, confirmed("A", made), {"A": ledger}, {"A": {"NOT_UTF8": 1}}


def test_a_complete_outcome_matches_the_truth_however_it_was_cut(small_truth):
    truth, rows, ledger, faults = small_truth
    assert compare(truth, rows, ledger, faults) == []
    assert compare(truth, pa.Table.from_pylist(rows), ledger, faults) == []
    whole = {**rows[0], "good": 3_000}, {**rows[0], "good": 2_000, "events": 0}
    assert compare(truth, [*whole, *rows[1:]], ledger, faults) == []


def test_every_difference_is_named(small_truth):
    truth, rows, ledger, faults = small_truth
    assert compare(truth, [*rows[:2], {**rows[2], "scrap": 0}], ledger, faults) == [
        "plant A, source M1, order O2, operation 0010, lot L2, unit H87: scrap 0 confirmed, 1000 made",
        "plant A, posting_date 2026-03-28, shift night, unit H87: scrap 0 confirmed, 1000 made",
    ]
    moved = compare(truth, [{**rows[0], "shift": "late"}, *rows[1:]], ledger, faults)
    assert [line.partition(",")[2] for line in moved] == [
        " posting_date 2026-03-28, shift early, unit H87: good 0 confirmed, 5000 made",
        " posting_date 2026-03-28, shift early, unit H87: events 0 confirmed, 1 made",
        " posting_date 2026-03-28, shift late, unit H87: good 5000 confirmed, 0 made",
        " posting_date 2026-03-28, shift late, unit H87: events 1 confirmed, 0 made",
    ]
    for name in ledger["A"]:
        wrong = {"A": {**ledger["A"], name: ledger["A"][name] + 1}}
        (difference,) = compare(truth, rows, wrong, faults)
        assert f" {name} in the ledger" in difference
    assert compare(truth, rows, ledger, {"A": {"OVERSIZE": 1}}) == [
        "plant A: 0 dead letters NOT_UTF8, 1 expected",
        "plant A: 1 dead letters OVERSIZE, 0 expected",
    ]
    assert compare(truth, [*rows, {**rows[0], "plant": "Z"}], ledger, faults) == [
        "plant Z: has confirmations, but made nothing"
    ]


def test_the_truth_survives_its_file(tmp_path):
    truth, _ = simulated(SimulationConfig.small(SPRING))
    truth.save(tmp_path / "truth.json")
    assert Truth.load(tmp_path / "truth.json") == truth


def test_files_appear_whole_in_the_order_of_arrival(tmp_path):
    config = SimulationConfig.small(SPRING)
    _, drops = simulated(config)
    simulate(config, FolderWriter(tmp_path))
    for plant in PLANTS:
        section = mapping_of(plant).input
        files = sorted((tmp_path / section.folder).iterdir())
        assert all(fnmatch(path.name, section.pattern) for path in files)
        assert [path.name.partition("_")[2] for path in files] == [drop.name for drop in drops[plant]]
        for path, drop in zip(files, drops[plant], strict=True):
            lines = [record for _, record in drop.records]
            assert path.read_bytes() == drop.header + b"".join(line + drop.line_end for line in lines)


def test_a_folder_in_use_is_left_alone(tmp_path):
    config = SimulationConfig.small(SPRING).model_copy(update={"plants": ("C",)})
    simulate(config, FolderWriter(tmp_path))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    with pytest.raises(LandingFolderInUse, match="plant-c is not empty"):
        simulate(config, FolderWriter(tmp_path))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == before


def test_messages_go_to_the_topic_of_their_plant_keyed_by_source():
    config = SimulationConfig.small(SPRING).model_copy(update={"plants": ("C",), "records": 1_000})
    # The cluster inside librdkafka: real protocol, no broker to start.
    cluster = Producer({"test.mock.num.brokers": 1})
    brokers = ",".join(f"{b.host}:{b.port}" for b in cluster.list_topics(timeout=10).brokers.values())
    truth = simulate(config, KafkaWriter({"bootstrap.servers": brokers}, {"C": "quality"}))
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "reader", "auto.offset.reset": "earliest"})
    consumer.subscribe(["quality"])
    messages = []
    while len(messages) < truth.plants["C"].records:
        messages += consumer.consume(100, timeout=1)
    consumer.close()
    _, drops = simulated(config)
    sent = [record for drop in drops["C"] for record in drop.records]
    assert sorted((m.key().decode(), m.value()) for m in messages) == sorted(sent)
