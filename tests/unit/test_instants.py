"""Instants in a plant's own words: what the rewriting cannot take does not disturb what it can."""

import pyarrow as pa
import pytest

from canonical.decoders.instants import instants
from canonical.mapping import load
from canonical.plants import shipped

NOON_US = 1_767_265_200_000_000  # 2026-01-01 12:00 in Berlin


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["01.01.2026 12:00:00", "gestern"], [NOON_US, None]),
        (["gestern"], [None]),
        (["1.1.2026 12:0:0", "01.01.2026 12:00:00"], [NOON_US, NOON_US]),
        (["31.02.2026 12:00:00", "gestern", "01.01.2026 12:00:00"], [None, None, NOON_US]),
    ],
)
def test_each_text_is_an_instant_or_none_whatever_stands_beside_it(texts, expected):
    mapping = next(m for m in map(load, shipped()) if m.plant == "B")
    us, valid = instants(mapping, pa.array(texts))
    assert [int(value) if ok else None for value, ok in zip(us, valid, strict=True)] == expected
