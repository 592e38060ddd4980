from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from canonical.columns import EVENT_TYPES, Vocabulary
from canonical.contracts.fault import FaultCode
from canonical.decoders import decode
from canonical.decoders.parsed import Parsed
from canonical.decoders.shdr import parse_shdr
from canonical.mapping import PlantMapping, load
from canonical.plants import shipped
from canonical.records import RawRecords

OKUMA = Path(__file__).parents[2].parent / "shared/fixtures/shdr/okuma_imts2022_shdr.txt"
NOW = "2022-08-08T13:51:34.7167146Z"


def plant(limits: dict[str, Any] | None = None, **items: str) -> PlantMapping:
    return PlantMapping.model_validate(
        {
            "plant": "M",
            "format": "shdr",
            "input": {"folder": "m"},
            "sequencing": {"mode": "arrival"},
            "limits": limits or {},
            "shdr": {
                "source": "MULTUS-1",
                "session_start": "avail",
                "items": {"good_counter": "count", "scrap_counter": "rejects", "type": "execution", **items},
            },
        }
    )


MAPPING = plant(material="program")


def parse(data: bytes, mapping: PlantMapping = MAPPING) -> Parsed:
    return parse_shdr(mapping, RawRecords.from_lines(data))


def observation(cells: str, mapping: PlantMapping = MAPPING) -> dict[str, Any]:
    """The fields of one line that says something, after its timestamp."""
    parsed = parse(f"{NOW}|{cells}\n".encode(), mapping)
    assert parsed.faults == []
    (fields,) = [{name: column[0].as_py() for name, column in parsed.fields.items()}]
    assert fields.pop("occurred") == NOW
    return {name: value for name, value in fields.items() if value not in (None, False)}


@pytest.mark.parametrize(
    ("cells", "fields"),
    [
        ("X1load|56", {"type": "telemetry"}),
        ("X1load|", {"type": "telemetry"}),
        ("count|7", {"type": "partial", "good_counter": "7"}),
        ("X1load|56|count|7|Z1load|2", {"type": "partial", "good_counter": "7"}),
        ("count|7|rejects|2", {"type": "partial", "good_counter": "7", "scrap_counter": "2"}),
        ("count|7|count|8", {"type": "partial", "good_counter": "8"}),
        ("count|UNAVAILABLE", {"type": "telemetry"}),
        ("count|", {"type": "telemetry"}),
        ("count|  7 ", {"type": "partial", "good_counter": "7"}),
        ("execution|ACTIVE", {"type": "state"}),
        ("execution|UNAVAILABLE", {"type": "state"}),
        ("execution|ACTIVE|count|7", {"type": "partial", "good_counter": "7"}),
        ("avail|AVAILABLE", {"type": "telemetry", "session_start": True}),
        ("avail|UNAVAILABLE", {"type": "telemetry"}),
        ("program|O1234|avail|AVAILABLE", {"type": "telemetry", "material": "O1234", "session_start": True}),
        # A mapped name in the place of a value, or as part of another name, is not the item.
        ("program|count|X|7", {"type": "telemetry", "material": "count"}),
        ("xcount|7|countx|8|COUNT|9", {"type": "telemetry"}),
        # Conditions take an even number of cells.
        ("system|NORMAL||||", {"type": "telemetry"}),
        ("system|FAULT|207|500|HIGH|Spindle overload", {"type": "telemetry"}),
        ("system|FAULT|207|500|HIGH|count|count|7", {"type": "partial", "good_counter": "7"}),
        # Quoted cells may hold escaped pipes.
        (r'program|"a\|count\|1"|count|7', {"type": "partial", "material": "a|count|1", "good_counter": "7"}),
        (r'program|"say \"x\""|X|1', {"type": "telemetry", "material": 'say "x"'}),
        (r"program|C:\|X|1", {"type": "telemetry", "material": "C:\\"}),
        ('program|"a" b', {"type": "telemetry", "material": '"a" b'}),
        ("program|Fräser", {"type": "telemetry", "material": "Fräser"}),
        # The cells of assets are no items.
        ("@REMOVE_ALL_ASSETS@|CuttingTool", {"type": "telemetry"}),
        ("@UPDATE_ASSET@|count|count|7", {"type": "telemetry"}),
        ("@ASSET@|1.2|CuttingTool|--multiline--ABCD", {"type": "telemetry"}),
        ("@ASSET@|1.2|CuttingTool|<CuttingTool name='|'/>", {"type": "telemetry"}),
    ],
)
def test_observation(cells: str, fields: dict[str, Any]) -> None:
    assert observation(cells) == fields


@pytest.mark.parametrize(
    ("cells", "kind", "said"),
    [
        ("execution|ACTIVE", "resume", None),
        ("X1load|1|execution|READY|count|", "pause", None),
        ("execution|FEED_HOLD|execution|ACTIVE", "resume", None),  # the last counts
        ("execution|FEED_HOLD", "downtime", None),
        ("execution|UNAVAILABLE", "state", None),
        ("execution|", "state", None),
        ("execution|READY|count|7", "partial", None),  # what counts is counted
        ("X1load|56", "telemetry", None),
        ("execution|complete", None, "type (execution): not in [types] of the mapping: 'complete'"),
        ("execution|GONE", None, "type (execution): not in [types] of the mapping: 'GONE'"),
    ],
)
def test_words_of_execution_are_states_of_the_machine(cells: str, kind: str | None, said: str | None) -> None:
    words = {"packml": {"ACTIVE": "Execute", "READY": "Idle"}, "types": {"FEED_HOLD": "downtime"}}
    mapping = PlantMapping.model_validate({**MAPPING.model_dump(by_alias=True, exclude_defaults=True), **words})
    done = decode(mapping, RawRecords.from_lines(f"{NOW}|{cells}\n".encode()), Vocabulary(), 1_660_000_000_000_000)
    assert [EVENT_TYPES[code].value for code in done.events["type"].tolist()] == ([kind] if kind else [])
    assert [fault.detail for fault in done.faults] == ([said] if said else [])


def test_timestamp_is_handed_on_as_it_is_but_for_a_duration() -> None:
    parsed = parse(b"2022-08-08T13:51:34.7167146Z|a|1\n2022-08-08T13:51:34Z@100.5|a|1\n2022-08-08T25:00|a|1\n")
    assert parsed.fields["occurred"].to_pylist() == [NOW, "2022-08-08T13:51:34Z", "2022-08-08T25:00"]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"   ",
        b"* PING",
        b"* PONG 10000",
        b"*adapterVersion:UNAVAILABLE",
        b"<CuttingTool toolId='1'>",
        b"  <Status>|count|7</Status>",
        b"--multiline--ABCD",
    ],
)
def test_line_that_is_no_record(line: bytes) -> None:
    parsed = parse(f"{NOW}|a|1\n".encode() + line + f"\n{NOW}|b|1\n".encode())
    assert parsed.rows.to_pylist() == [0, 2]
    assert parsed.faults == []


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (f"{NOW}|count", FaultCode.TRUNCATED),
        (f"{NOW}|a|1|count", FaultCode.TRUNCATED),
        (f"{NOW}|system|FAULT|207|500|HIGH", FaultCode.TRUNCATED),
        (NOW, FaultCode.TRUNCATED),
        ("2022-08-08T13", FaultCode.TRUNCATED),
        ("2022-08-", FaultCode.MALFORMED),
        ("count|7", FaultCode.MALFORMED),
        ("|count|7", FaultCode.MALFORMED),
        ("0.250|count|7", FaultCode.MALFORMED),  # a time relative to nothing we know
        (f"{NOW[:-2]}\udc80Z|count|7", FaultCode.NOT_UTF8),
        (f"{NOW}|a|" + "x" * 300, FaultCode.OVERSIZE),
        (f"{NOW}|a|1\r{NOW}|b|2", FaultCode.MALFORMED),
    ],
)
def test_fault(line: str, code: FaultCode) -> None:
    good = f"{NOW}|count|7".encode()
    parsed = parse(b"\n".join((good, line.encode(errors="surrogateescape"), good)), plant({"record_bytes_max": 256}))
    assert [(fault.row, fault.code) for fault in parsed.faults] == [(1, code)]
    assert parsed.rows.to_pylist() == [0, 2]
    assert parsed.fields["good_counter"].to_pylist() == ["7", "7"]


def test_no_records() -> None:
    parsed = parse(b"")
    assert len(parsed.rows) == 0
    assert set(parsed.fields) == {"occurred", "type", "session_start", "good_counter", "scrap_counter", "material"}


def test_a_batch_of_nothing_but_an_asset() -> None:
    assert len(parse(b"<Tool>|avail|1|count|2</Tool>\n").rows) == 0


@pytest.fixture(scope="module")
def okuma() -> bytes:
    if not OKUMA.exists():
        pytest.skip(f"the machine's log is not at {OKUMA}")
    return OKUMA.read_bytes()


MULTUS = load(next(path for path in shipped() if path.name == "plant_m.toml"))


def outcome(data: bytes, cuts: list[int]) -> tuple[list[tuple[Any, ...]], list[tuple[int, str]]]:
    """Rows with their fields and faults of the lines, cut into batches before these lines."""
    lines = data.splitlines(keepends=True)
    rows, faults = [], []
    for start, end in zip([0, *cuts], [*cuts, len(lines)], strict=True):
        parsed = parse(b"".join(lines[start:end]), MULTUS)
        columns = [parsed.fields[name].to_pylist() for name in sorted(parsed.fields)]
        rows += zip((start + row for row in parsed.rows.to_pylist()), *columns, strict=True)
        faults += [(start + fault.row, fault.code) for fault in parsed.faults]
    return rows, faults


def test_every_line_of_a_real_log_is_accounted_for(okuma: bytes) -> None:
    parsed = parse(okuma, MULTUS)
    lines = okuma.splitlines()
    assert len(lines) == 10_770
    assert parsed.faults == []
    assert parsed.rows.to_pylist() == [i for i, line in enumerate(lines) if line[:1].isdigit()]
    assert len(parsed.rows) == 10_525
    assert parsed.fields["occurred"].to_pylist() == [line[:28].decode() for line in lines if line[:1].isdigit()]


def test_readings_and_sessions_of_a_real_log(okuma: bytes) -> None:
    fields = parse(okuma, MULTUS).fields
    sessions = np.cumsum(fields["session_start"].to_numpy(zero_copy_only=False))
    readings = zip(sessions.tolist(), fields["good_counter"].to_pylist(), strict=True)
    assert [reading for reading in readings if reading[1] is not None] == [
        (1, "0"), (1, "1"), (2, "0"), (2, "1"), (3, "2"), (3, "3"), (4, "0"), (4, "1"),
    ]  # fmt: skip
    said = {"telemetry": 10_505, "ACTIVE": 4, "PROGRAM_COMPLETED": 4, "READY": 4, "partial": 8}
    assert Counter(fields["type"].to_pylist()) == said
    assert said.keys() <= MULTUS.words.keys()


def test_a_real_log_reads_the_same_however_it_is_cut(okuma: bytes) -> None:
    whole = outcome(okuma, [])
    n = len(okuma.splitlines())
    random = Random(22)
    for count in (1, 7, 200):
        assert outcome(okuma, sorted(random.sample(range(1, n), count))) == whole
    session_and_a_bit = b"".join(okuma.splitlines(keepends=True)[1380:1880])
    assert outcome(session_and_a_bit, list(range(1, 500))) == outcome(session_and_a_bit, [])
