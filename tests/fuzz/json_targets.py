"""JSON under fuzz: the shipped plants A and C, every field there is, and CloudEvents; beside the naive twin."""

from __future__ import annotations

import json
from collections.abc import Mapping
from random import Random

from canonical.contracts.fault import FaultCode
from canonical.mapping import PlantMapping
from tests.fuzz import damage_json, seeds
from tests.fuzz.decode_target import DecodeTarget
from tests.fuzz.outcome import NOW_US, Outcome
from tests.fuzz.targets import Target
from tests.fuzz.violation import require
from tests.property import twin_decode

_FORM = {FaultCode.MALFORMED, FaultCode.TRUNCATED}

WIDE = {
    "machine": {"id": "M-01", "place": {"wc": "WC-1"}}, "boot": "b", "n": 5, "kind": "CYCLE",
    "ts": "2026-03-03T07:00:00Z", "stored": "2026-03-03T08:00:00.5+01:00",
    "order": {"no": "4711", "op": "10", "item": {"material": "X"}}, "lot": "L ä😀", "reason": "", "uom": "Stk",
    "trace": {"id": "t-1"}, "q": "hold", "good": 1.5, "scrap": 0, "rework": 2, "wh": 0.25,
    "total": {"good": 17, "scrap": 3}, "cycle": {"setup": 0.5, "ms": 1250.5, "labour": 7},
    "used": {"quantity": 0.125, "from": "B-1", "to": "B-2"}, "lpn": "LPN-1",
}  # fmt: skip
CLOUD = {
    "specversion": "1.0", "id": "A-1", "source": "/line/1", "type": "partial", "subject": "100",
    "time": "2026-03-03T07:00:00Z", "correlationid": "c-1", "datacontenttype": "application/json",
    "data": {"site": "D", "seq": 7, "at": 1_772_539_200_000_000, "count": 2_147_483_647, "m": [{"x": None}]},
}  # fmt: skip


def _written(document: dict[str, object]) -> list[bytes]:
    layouts = ({}, {"separators": (",", ":")}, {"ensure_ascii": False}, {"indent": 1}, {"sort_keys": True})
    return [json.dumps(document, **layout).encode() for layout in layouts]  # type: ignore[arg-type]


def _leaner(document: dict[str, object]) -> list[bytes]:
    """Return the document with each of its members left out."""
    return [json.dumps({k: v for k, v in document.items() if k != name}).encode() for name in document]


def _wide(rng: Random) -> bytes:
    """Return a record like others of a shift: numbered, of a few machines and orders."""
    machine = {"id": f"M-{rng.randrange(3)}", "place": {"wc": "WC-1"}}
    told = {"machine": machine, "n": rng.randrange(600), "kind": rng.choice(("CYCLE", "SCRAP", "DONE"))}
    order = {"no": rng.choice(("4711", "4712")), "op": "10"}
    return json.dumps({**WIDE, **told, "order": order, "total": {"good": rng.randrange(90)}}).encode()


def _cloud(rng: Random) -> bytes:
    n = rng.randrange(400)
    data = {"site": "D", "seq": n % 256, "at": 1_772_539_200_000_000 + n * 1_000_000, "count": 3 * n}
    return json.dumps({**CLOUD, "source": f"/line/{rng.randrange(3)}", "data": data}).encode()


def twin(mapping: PlantMapping, value: bytes, found: Outcome, row: int) -> None:
    """The naive twin agrees, but for records that are no strict JSON and yet tolerated."""
    here = found.of(row)
    if row in found.faults and "number is infinity" in str(here):
        return  # 1e309 is JSON to the twin, and none to the strict parser
    try:
        expected = twin_decode.decode_one(mapping, value, NOW_US)
    except twin_decode.Refused as refused:
        code = here[0] if row in found.faults and here is not None else None
        if refused.code in _FORM and code not in _FORM:
            require(_lenient(value), "what is no JSON is refused", value, here)
        else:
            require(code == refused.code, "the fault is the one the twin finds", value, here, refused.code)
        return
    except (RecursionError, ValueError):
        return  # what the twin cannot read: nesting beyond Python's, integers of thousands of digits
    if expected is None:
        require(here is None, "a blank record is no record", value, here)
        return
    require(here is not None and row not in found.faults, "what the twin accepts is an event", value, here)
    at = int(found.rows.searchsorted(row))
    for name, wanted in expected.items():
        column = found.columns[name]
        is_text = isinstance(wanted, str) and name != "type"
        got = found.vocabulary.texts[column[at]] if is_text else column[at].item()
        if name == "type":
            got = twin_decode.EVENT_TYPES[got]
        require(got == wanted, f"{name} is what the twin reads", value, got, wanted)


def _lenient(value: bytes) -> bool:
    try:
        json.loads(value)
    except ValueError:
        return True
    return False


def targets() -> Mapping[str, Target]:
    foreign = (
        *seeds.documents("*/*.json*"),
        *seeds.fixtures("*/*.json*"),
        *seeds.fixtures("*/*.xml"),
        *seeds.published(),
    )
    wide = [*_written(WIDE), *_leaner(WIDE)]
    cloud = [*_written(CLOUD), *_leaner(CLOUD)]
    plants = {
        "json-a": (seeds.shipped_plant("A"), seeds.simulated("A"), 1.4, twin, None),
        "json-c": (seeds.shipped_plant("C"), seeds.simulated("C"), 1.0, twin, None),
        "json-wide": (seeds.own_plant("wide"), wide, 1.4, twin, _wide),
        "json-cloudevents": (seeds.own_plant("cloudevents"), cloud, 0.8, None, _cloud),
    }
    return {
        name: DecodeTarget(
            mapping, records, damage_json.damage, weight, donors=foreign, reference=reference, fresh=fresh
        )
        for name, (mapping, records, weight, reference, fresh) in plants.items()
    }
