"""What has been published is read for ever: by today's Avro readers, by today's JSON decoder (M07).

``python tests/golden/contracts/test_published_data.py`` records golden data for the versions that
have none. What it has recorded once is never recorded again.
"""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import fastavro
import pytest

from canonical.schemas import CONTRACTS, committed
from canonical.wire import (
    decode_confirmations,
    decode_events,
    decode_gaps,
    decode_ledger,
    decode_marks,
    decode_minutes,
    decode_ranges,
    decode_trail,
    decode_usage,
    encode_confirmations,
    encode_events,
)
from tests.golden.contracts.erp_samples import ERP_SAMPLES

FOLDER = Path(__file__).parent
PUBLISHED = sorted(FOLDER.glob("*.avro"))
RECORDED_US = 1_760_000_000_200_000
ENCODERS = {"event.v3": encode_events, "confirmation.v1": encode_confirmations}
DECODERS = {
    "event": decode_events,
    "confirmation": decode_confirmations,
    "gap": decode_gaps,
    "ledger_entry": decode_ledger,
    "ledger_range": decode_ranges,
    "trail_entry": decode_trail,
    "component_usage": decode_usage,
    "state_mark": decode_marks,
    "telemetry_minute": decode_minutes,
}

FAULT = {"code": "BAD_SEQUENCE", "detail": "seq is -1", "plant": "A", "source": "press-1", "session": "b7", "seq": -1}

SAMPLES: dict[str, dict[str, Any]] = ERP_SAMPLES | {
    "event": {
        "plant": "A", "source": "press-1", "session": "b7", "seq": 41, "type": "scrap",
        "occurred_us": 1_760_000_000_000_001, "recorded_us": 1_760_000_000_100_000, "order": "100042",
        "operation": "0010", "work_center": "PRESS", "material": "M-1", "lot": "L-9", "reason": "R03 Grat",
        "unit": "KGM", "good": 2_000, "scrap": 125, "rework": 1, "setup_us": 10, "machine_us": 20, "labour_us": 30,
        "good_counter": 9_000, "scrap_counter": 0, "correlation_id": "c-1", "energy_mwh": 77, "quality": "hold",
        "quantity": 1_500, "from_bin": "B-01-02", "to_bin": "LINE-3", "handling_unit": "LPN-00042",
    },
    "confirmation": {
        "posting_id": UUID("48a555e2-a0db-5165-b345-7737bac29e0a"), "kind": "supplementary", "revision": 1,
        "plant": "A", "source": "press-1", "session": "b7", "first_seq": 42, "last_seq": 2**53, "order": "100042",
        "operation": "0010", "work_center": "PRESS", "material": "M-1", "lot": "L-9", "reason": "R03 Grat",
        "unit": "KGM", "shift": "late", "posting_date": date(2025, 10, 9), "good": 10**15, "scrap": 125, "rework": 1,
        "setup_us": 10, "machine_us": 20, "labour_us": 30, "energy_mwh": 77, "events": 3,
        "first_occurred_us": 1_760_000_000_000_001, "last_occurred_us": 1_760_000_000_000_002,
        "first_offset": 7, "last_offset": 9, "final": True, "close_reason": "shift",
    },
    "fault": {**FAULT, "offset": 8},
    "ledger_entry": {
        "shard": "A/press", "plant": "A", "source": "press-1", "session": "b7", "start_seq": 0, "next_seq": 42,
        "read": 50, "released": 40, "late": 1, "duplicates": 6, "faults": 2, "held": 1, "accounted": 30,
        "analytics_only": 6, "operational": 5, "gaps": 1, "missing": 2, "skipped": 4,
        "open": 3, "good": 27_000, "scrap": 125, "rework": 1, "committed_us": 1_760_000_000_000_003,
    },
    "ledger_range": {
        "shard": "A/press", "plant": "A", "source": "press-1", "session": "b7", "fate": "supplementary",
        "first_seq": 42, "last_seq": 2**53, "events": 3, "posting_id": UUID("48a555e2-a0db-5165-b345-7737bac29e0a"),
        "order": "100042", "operation": "0010", "unit": "KGM", "good": 10**15, "scrap": 125, "rework": 1,
        "setup_us": 10, "machine_us": 20, "labour_us": 30, "energy_mwh": 77, "committed_us": 1_760_000_000_000_003,
    },
    "gap": {
        "plant": "A", "source": "press-1", "session": "b7", "first_seq": 5, "last_seq": 6,
        "declared_us": 1_760_000_000_000_000,
    },
    "dead_letter": {
        "topic": "raw.A", "partition": 3, "key": b"press-1", "value": b'{"seq":-1,"x":"\xff"}',
        "headers": [{"name": "h", "value": b"\x00"}, {"name": "h", "value": b""}], "fault": {**FAULT, "offset": 8},
        "stage": "decode", "failed_us": 1_760_000_000_000_001, "first_failed_us": 1_760_000_000_000_000,
        "attempts": 2, "correlation_id": "c-1", "original": False,
    },
    "state_mark": {
        "plant": "A", "source": "press-1", "session": "b7", "seq": 2**53, "occurred_us": 1_760_000_000_000_001,
        "type": "downtime", "state": "down", "reason": "R03 Grat", "order": "100042", "operation": "0010",
        "work_center": "PRESS",
    },
    "telemetry_minute": {
        "plant": "A", "work_center": "PRESS", "source": "press-1", "minute_us": 1_760_000_040_000_000, "events": 3,
        "good": 10**15, "scrap": 125, "rework": 1, "machine_us": -20, "energy_mwh": 77,
    },
    "trail_entry": {
        "chain": "folder:plant-a", "number": 1, "at_us": 1_760_000_000_000_000, "actor": "flow confirmations",
        "action": "mapping-changed", "subject": "A", "reason": "Zähler in Stück", "before": "ab" * 32,
        "after": "cd" * 32, "detail": "{}", "version": "0.1.0", "previous": "ef" * 32, "hash": "01" * 32,
    },
}  # fmt: skip


def plain(value: Any) -> Any:
    """Return the value as JSON has it."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, UUID | date):
        return str(value)
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, list) else value


def contains(found: Any, expected: Any) -> bool:
    """Whether every published field is there with its value; fields that came later do not count."""
    if isinstance(expected, dict):
        return all(name in found and contains(found[name], value) for name, value in expected.items())
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(contains, found, expected))
    return bool(found == expected)


def test_every_committed_version_has_golden_data() -> None:
    versions = {f"{contract}.v{version}" for contract in CONTRACTS for version in committed(contract)}
    assert {path.stem for path in PUBLISHED} == versions


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_the_newest_reader_reads_it(path: Path) -> None:
    contract, _, version = path.stem.rpartition(".v")
    expected = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    versions = committed(contract)
    for reader in range(int(version), max(versions) + 1):
        with path.open("rb") as file:
            (row,) = fastavro.reader(file, versions[reader])
        assert contains(plain(row), expected)
        CONTRACTS[contract][max(CONTRACTS[contract])].model_validate(row)


@pytest.mark.parametrize(
    "path", [p for p in PUBLISHED if p.stem.rpartition(".v")[0] in DECODERS], ids=lambda path: path.stem
)
def test_the_decoder_reads_its_json(path: Path) -> None:
    text = path.with_suffix(".json").read_text(encoding="utf-8")
    line = " ".join(text.splitlines()).encode()
    (row,) = DECODERS[path.stem.rpartition(".v")[0]]([line]).to_pylist()
    assert contains(plain(row), json.loads(text))


def message(stem: str) -> dict[str, Any]:
    row = json.loads((FOLDER / f"{stem}.json").read_text(encoding="utf-8"))
    ((key, value, headers),) = ENCODERS[stem]({name: [field] for name, field in row.items()}, RECORDED_US)
    return {"key": key.decode(), "value": value.decode(), "headers": [[name, text.decode()] for name, text in headers]}


@pytest.mark.parametrize("stem", sorted(ENCODERS))
def test_messages_never_change(stem: str) -> None:
    assert message(stem) == json.loads((FOLDER / f"{stem}.message.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.message.json")), ids=lambda path: path.name)
def test_messages_of_every_version_are_read(path: Path) -> None:
    stem = path.name.removesuffix(".message.json")
    (row,) = DECODERS[stem.partition(".")[0]]([json.loads(path.read_bytes())["value"].encode()]).to_pylist()
    assert contains(plain(row), json.loads((FOLDER / f"{stem}.json").read_text(encoding="utf-8")))


def record(path: Path, text: object) -> None:
    if not path.exists():
        path.write_text(json.dumps(text, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main() -> None:
    for contract in CONTRACTS:
        for version, schema in committed(contract).items():
            path = FOLDER / f"{contract}.v{version}.avro"
            row = {field["name"]: SAMPLES[contract][field["name"]] for field in schema["fields"]}
            if not path.exists():
                with path.open("wb") as file:
                    fastavro.writer(file, schema, [row], sync_marker=b"plantsync golden")
            record(path.with_suffix(".json"), plain(row))
    for stem in ENCODERS:
        record(FOLDER / f"{stem}.message.json", message(stem))


if __name__ == "__main__":
    main()
