"""The mappings shipped: each plant's own records become these canonical events, field by field (M02-M04, M07)."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from canonical.columns import EVENT_TYPES, TEXT_COLUMNS, Vocabulary
from canonical.decoders import decode
from canonical.decoders.examples import tried
from canonical.mapping import load, problems
from canonical.plants import shipped
from canonical.records import RawRecords

NOON = datetime(2026, 3, 28, 11, tzinfo=UTC)
S = 1_000_000
NOON_US = int(NOON.timestamp()) * 1_000_000


def mapping_of(plant):
    return next(m for m in map(load, shipped()) if m.plant == plant)


def decoded(plant, *records):
    """Return the canonical fields of each record that are not their default, and the fault codes."""
    vocabulary = Vocabulary()
    done = decode(mapping_of(plant), RawRecords.from_lines(b"\n".join(records)), vocabulary, NOON_US + 60_000_000)
    events = [{} for _ in range(len(done.events))]
    for name, column in done.events.columns.items():
        if name in {"row", "offset", "identity", "plant"}:
            continue
        texts = vocabulary.text(column) if name in TEXT_COLUMNS else column.tolist()
        for event, value in zip(events, texts, strict=True):
            if name == "type":
                event[name] = EVENT_TYPES[value].value
            elif value not in {"", 0, -1}:
                event[name] = value
    return events, [fault.code.value for fault in done.faults]


def test_five_plants_are_shipped_without_problems():
    assert [path.name for path in shipped()] == [f"plant_{letter}.toml" for letter in "abcmp"]
    assert [problems(path) for path in shipped()] == [[]] * 5
    mappings = [load(path) for path in shipped()]
    assert [m.plant for m in mappings] == ["A", "B", "C", "M", "P"]
    assert len({m.input.folder for m in mappings}) == len({t for m in mappings for t in m.input.topics}) == 5
    assert all(ZoneInfo(m.time_zone) for m in mappings)


@pytest.mark.parametrize("name", ["lims", "eam"])
def test_systems_beside_the_plants_are_mapped_as_their_examples_say(name):
    """Laboratory and maintenance: verdicts hold and release, work orders stop and resume."""
    path = Path(__file__).parents[2] / f"docs/mappings/{name}.toml"
    assert problems(path) == []
    assert tried(path) == []
    told = {example.event["type"] for example in load(path).examples if example.event}
    assert told == {"lims": {"hold", "release"}, "eam": {"downtime", "resume"}}[name]


V1 = (
    b'{"schema":1,"machine":"A-M07","boot":"5eed","n":12,"kind":"CYCLE","ts":"2026-03-28T11:00:00.250Z",'
    b'"stored":"2026-03-28T11:00:00.290Z","order":"10107000","op":"0020","wc":"PACK-2","material":"4711-HOUSING",'
    b'"lot":"L107000a","unit":"PCE","good":2,"cycle_ms":21500,"wh":12.345}'
)
V2 = V1[:-1].replace(b'"schema":1', b'"schema":2') + b',"quality":{"status":"ok"},"telemetry":{"spindle_c":61.5}}'
CYCLE = {
    "source": "A-M07", "session": "5eed", "seq": 12, "type": "partial", "occurred_us": NOON_US + 250_000,
    "recorded_us": NOON_US + 290_000, "order": "10107000", "operation": "0020", "work_center": "WC-A920",
    "material": "4711-HOUSING", "lot": "L107000a", "unit": "H87", "good": 2_000, "machine_us": 21_500_000,
    "energy_mwh": 12_345,
}  # fmt: skip


def test_plant_a_speaks_two_versions_at_once():
    assert decoded("A", V1, V2, V1) == ([CYCLE, {**CYCLE, "quality": "ok"}, CYCLE], [])


@pytest.mark.parametrize(
    ("kind", "body", "changed"),
    [
        ("ORDER_START", b"", {"type": "start"}),
        ("ORDER_END", b',"setup_min":5,"labour_s":9', {"type": "complete", "setup_us": 300 * S, "labour_us": 9 * S}),
        ("SCRAP", b',"scrap":0.5,"reason":"TOOL"', {"type": "scrap", "scrap": 500, "reason": "TOOL"}),
        ("REWORK", b',"rework":3', {"type": "rework", "rework": 3_000}),
        ("STOP", b',"reason":"FAULT"', {"type": "downtime", "reason": "FAULT"}),
        ("RUN", b"", {"type": "resume"}),
        ("STATUS", b',"state":"IDLE"', {"type": "state"}),
        ("TELEMETRY", b',"load_pct":40', {"type": "telemetry"}),
    ],
)  # fmt: skip
def test_plant_a_verbs(kind, body, changed):
    made = {"good", "machine_us", "energy_mwh"}
    record = V1.partition(b',"good"')[0].replace(b'"CYCLE"', f'"{kind}"'.encode()) + body + b"}"
    assert decoded("A", record) == ([{**{k: v for k, v in CYCLE.items() if k not in made}, **changed}], [])


def test_plant_a_weighs_in_kilograms():
    (event,), _ = decoded("A", V1.replace(b'"PCE"', b'"KG"').replace(b'"good":2', b'"good":12.345'))
    assert (event["unit"], event["good"]) == ("KGM", 12_345)


B_HEADER = (
    "Zeitpunkt;Maschine;Auftrag;Vorgang;Charge;Artikel;Arbeitsplatz;Meldung;"
    "Zähler gut;Zähler Ausschuss;Einheit;Grund;Laufzeit min;Energie kWh;Bediener"
).encode("cp1252")


def b_row(local, tail):
    return f"{local};B-M02;10202000;0010;L202000a;5003-GASKET;GRIND-1;{tail};Müller".encode("cp1252")


READING = {
    "source": "B-M02", "type": "partial", "occurred_us": NOON_US, "order": "10202000", "operation": "0010",
    "lot": "L202000a", "material": "5003-GASKET", "work_center": "WC-B310", "unit": "H87", "reason": "DIMENSION",
    "good_counter": 36_000, "scrap_counter": 2_500, "machine_us": 44_040_000, "energy_mwh": 93_000,
}  # fmt: skip


def test_plant_b_readings_in_local_time_with_a_header_in_every_file():
    row = b_row("28.03.2026 12:00:00", "Stand;36;2,5;Stk;Maß;0,734;0,093")
    assert decoded("B", B_HEADER, row, B_HEADER, row) == ([READING, READING], [])


def test_plant_b_stops_and_starts_carry_no_reading():
    stop = b_row("28.03.2026 12:00:00", "Störung;;;kg;;;")
    (event,), faults = decoded("B", stop)
    assert faults == []
    assert event["type"] == "downtime"
    assert event["unit"] == "KGM"
    assert not {"good_counter", "scrap_counter", "machine_us", "energy_mwh", "reason"} & event.keys()


def test_plant_b_clock_skips_an_hour_and_repeats_one():
    tail = "Stand;36;2;Stk;;1;1"
    _, faults = decoded("B", b_row("29.03.2026 02:30:00", tail))
    assert faults == ["BAD_TIMESTAMP"]
    summer = datetime(2025, 10, 26, 0, 30, tzinfo=UTC)
    (event,), _ = decoded("B", b_row("26.10.2025 02:30:00", tail))
    assert event["occurred_us"] == summer.timestamp() * 1_000_000


@pytest.mark.parametrize(
    ("verb", "status", "kind", "quality"),
    [
        ("lot.hold", "HOLD", "hold", "hold"),
        ("lot.hold", "REJECTED", "hold", "reject"),
        ("lot.release", "RELEASED", "release", "release"),
        ("inspection.result", "MEASURED", "state", "MEASURED"),
    ],
)
def test_plant_c_calls_about_a_lot(verb, status, kind, quality):
    call = (
        f'{{"event_id":"3135e3e1-d265-4a53-8433-e3370b6da89f","event":"{verb}","occurred_at":{NOON_US // 1000},'
        '"station":{"code":"LAB-1","tenant":"x"},"subject":{"order":"10201000","operation":"0030",'
        f'"material":"4712-SHAFT","lot":"L201000b"}},"decision":{{"status":"{status}","reason":"TOOL"}}}}'
    ).encode()
    (event,), faults = decoded("C", call)
    assert faults == []
    assert event == {
        "source": "LAB-1", "type": kind, "occurred_us": NOON_US, "order": "10201000", "operation": "0030",
        "material": "4712-SHAFT", "lot": "L201000b", "reason": "TOOL", "quality": quality, "unit": "H87",
    }  # fmt: skip
    assert mapping_of("C").routes[kind].value == "operational"


def test_plant_m_reads_the_part_count():
    lines = (
        b"2026-03-28T11:00:00.0000000Z|avail|AVAILABLE|pexecution|READY|ppartcount|7",
        b"2026-03-28T11:00:00.5000009Z|Z1load|10",
        b"2026-03-28T11:00:01.0000000Z|ppartcount|8|Z1load|2",
        b"2026-03-28T11:00:02.0000000Z|pexecution|INTERRUPTED",
    )
    events, faults = decoded("M", *lines)
    assert faults == []
    assert [(e["type"], e.get("good_counter"), e["occurred_us"] - NOON_US) for e in events] == [
        ("partial", 7_000, 0),
        ("telemetry", None, 500_000),
        ("partial", 8_000, 1_000_000),
        ("downtime", None, 2_000_000),
    ]
    assert [e.get("session_start", False) for e in events] == [True, False, False, False]


def test_plant_p_reads_devices_of_an_edge_node():
    edge = b'{"source":"plant-p/weld-shop","session":"0-1774695600000","seq":%d,"type":"%b","at":1774695600000,'
    edge += b'"group":"plant-p","edge":"weld-shop"%b}'
    shown = b'"Order":"101605000","Operation":"0030","Material":"4712-SHAFT","Lot":"L1605000a"'
    births = (
        edge % (0, b"NBIRTH", b',"metrics":{"bdSeq":0}'),
        edge % (1, b"DBIRTH", b',"device":"robot-1","metrics":{%b,"Good":41,"Scrap":2}' % shown),
        edge % (2, b"DDATA", b',"device":"robot-1","metrics":{%b},"historical":{"Good":{"value":40,"at":1}}' % shown),
        edge % (3, b"DDEATH", b',"device":"robot-1"'),
    )
    (node, device, history, death), faults = decoded("P", *births)
    assert faults == []
    assert node == {
        "source": "plant-p/weld-shop", "session": "0-1774695600000", "type": "telemetry", "occurred_us": NOON_US,
        "unit": "H87",
    }  # fmt: skip
    assert device == node | {
        "seq": 1, "type": "partial", "work_center": "WC-P210", "order": "101605000", "operation": "0030",
        "material": "4712-SHAFT", "lot": "L1605000a", "good_counter": 41_000, "scrap_counter": 2_000,
    }  # fmt: skip
    assert history == {key: value for key, value in device.items() if "counter" not in key} | {"seq": 2}
    assert death == node | {"seq": 3, "type": "state", "work_center": "WC-P210"}
