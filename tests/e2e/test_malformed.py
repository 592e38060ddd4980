"""1,000 malformed records among 1,000 good ones: nothing lost, every dead letter with its bytes (M28)."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime

import numpy as np
import pytest

from canonical.mapping import PlantMapping, load
from canonical.plants import shipped
from canonical.records import RawRecords
from sinks import dead_letters
from tests import scripted_flow

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
NOW_US = int(NOW.timestamp() * 1_000_000)
GOOD = {
    "machine": "M1", "boot": "b1", "n": 0, "kind": "CYCLE", "ts": "2026-03-02T11:00:00.000Z", "order": "100",
    "op": "0010", "wc": "TURN-1", "lot": "L1", "unit": "PCE", "good": 1,
}  # fmt: skip


def spoilt(**changes: object) -> bytes:
    told = {**GOOD, "machine": "M9", **changes}
    return json.dumps({k: v for k, v in told.items() if v is not None}).encode()


MALFORMED = {
    b"\xff\xfe" + spoilt(): "NOT_UTF8",
    spoilt(lot="L\xe4").decode().encode("latin-1").replace(b"\\u00e4", b"\xe4"): "NOT_UTF8",
    spoilt()[:-9]: "TRUNCATED",
    b'{"machine": "M9", "n": ': "TRUNCATED",
    b"<html>502</html>": "MALFORMED",
    spoilt() + spoilt(): "MALFORMED",
    b"[1, 2, 3]": "WRONG_TYPE",
    spoilt(machine=17): "WRONG_TYPE",
    spoilt(good=True): "WRONG_TYPE",
    spoilt(good="many"): "WRONG_TYPE",
    spoilt(order={"no": "100"}): "WRONG_TYPE",
    spoilt(machine=None): "MISSING_FIELD",
    spoilt(n=None): "MISSING_FIELD",
    spoilt(ts=None): "MISSING_FIELD",
    spoilt(kind="DANCE"): "UNKNOWN_TYPE",
    spoilt(unit="FURLONG"): "UNKNOWN_UNIT",
    spoilt(good=-1): "NEGATIVE_QUANTITY",
    spoilt(good=10**12): "ABSURD_QUANTITY",
    spoilt(good=0.00001): "ABSURD_QUANTITY",
    spoilt(n=-4): "BAD_SEQUENCE",
    spoilt(n=1.5): "BAD_SEQUENCE",
    spoilt(ts="yesterday"): "BAD_TIMESTAMP",
    spoilt(ts="2026-02-30T00:00:00Z"): "BAD_TIMESTAMP",
    spoilt(ts="2026-03-09T12:00:00Z"): "TIMESTAMP_FUTURE",
    spoilt(ts="1970-01-01T00:00:00Z"): "TIMESTAMP_PAST",
    spoilt(dump="x" * 20_000): "OVERSIZE",
    spoilt(dump=json.loads("[" * 40 + "]" * 40)): "DEEP_NESTING",
    spoilt(order="9" * 300): "TEXT_TOO_LONG",
}


@pytest.fixture(scope="module")
def mapping() -> PlantMapping:
    return load(next(path for path in shipped() if path.stem == "plant_a"))


@pytest.mark.parametrize("batches", [1, 7, 2000], ids=["one batch", "seven batches", "record by record"])
def test_a_thousand_of_each(mapping: PlantMapping, batches: int) -> None:
    rng = random.Random(7)
    good = [json.dumps({**GOOD, "n": n}).encode() for n in range(1000)]
    bad = [list(MALFORMED)[i % len(MALFORMED)] for i in range(1000)]
    order = [True] * 1000 + [False] * 1000
    rng.shuffle(order)
    values = [(good if is_good else bad).pop(0) for is_good in order]
    cuts = np.array_split(np.arange(2000), batches)
    fed = [
        (NOW_US, RawRecords.from_values([values[i] for i in cut], cut, "plant-a", 3, [b"k%d" % i for i in cut]))
        for cut in cuts
    ]
    outcome = scripted_flow.run(mapping, fed, NOW_US + 86_400_000_000)

    letters = [dead_letters.parse(stored) for stored in outcome.stored("dead-letters")]
    assert len(letters) == 1000
    for letter in letters:
        place = letter.fault.offset
        assert (letter.value, letter.key) == (values[place], b"k%d" % place)
        assert (letter.topic, letter.partition) == ("plant-a", 3)
        assert letter.fault.code == MALFORMED[letter.value], letter.value[:80]
    assert sum(c["events"] for c in outcome.confirmations()) == 1000
    assert sum(c["good"] for c in outcome.confirmations()) == 1_000_000
    totals = outcome.totals()
    assert scripted_flow.balanced(totals)
    assert (totals["read"], totals["faults"]) == (2000, 1000)
