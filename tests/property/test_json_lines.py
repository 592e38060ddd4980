"""Lines of the ledger by the kernel are those that are made without it, byte for byte."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canonical import written as module
from canonical.coded import Coded
from canonical.contracts import LedgerEntry
from canonical.json_lines import json_lines
from canonical.wire import encode_ledger

pytestmark = pytest.mark.skipif(module._WRITE is None, reason="the kernel is not compiled: no C compiler here")

NAMES = [name for name in LedgerEntry.model_fields if name != "shard"]
TEXTS = ("plant", "source", "session")
ENDS = [10**n + more for n in range(19) for more in (-1, 0)]  # of numbers with a digit more
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.sampled_from(ENDS) | st.integers(-1, 120)
ESCAPED = '"\\\x00\x1f'


@st.composite
def ledgers(draw: st.DrawFn) -> dict[str, Any]:
    """Columns of a ledger; some have one value in all rows, and texts begin amid their Arrow buffers."""
    rows, skipped = draw(st.sampled_from([1, 2, 3, 300])), draw(st.integers(0, 2))
    odd = draw(st.sampled_from(["", *ESCAPED]))
    values = {True: st.text(st.sampled_from("Aé😀\x7f " + odd), max_size=40), False: NUMBERS}
    columns: dict[str, Any] = {}
    for name in NAMES:
        drawn = draw(st.lists(values[name in TEXTS], min_size=1, max_size=4))
        listed = (drawn * (rows + skipped))[skipped : rows + skipped]
        if name in TEXTS:
            columns[name] = pa.array(["before"] * skipped + listed, pa.string())[skipped:]
        else:  # at a stride, as the numbers of runs lie
            columns[name] = np.repeat(np.array(listed, np.int64), 1 + skipped)[:: 1 + skipped]
    return columns


@settings(max_examples=100, deadline=None)
@given(columns=ledgers(), shard=st.text(max_size=5))
def test_with_and_without_the_kernel_the_same(columns: dict[str, Any], shard: str) -> None:
    made = encode_ledger(shard, columns)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_WRITE", None)
        assert made == encode_ledger(shard, columns)


def test_what_the_ledger_usually_tells_is_for_the_kernel() -> None:
    texts, odd_numbers = pa.array(["Presse-é", "Presse-ü"]), np.array([0.5, 1.0])
    columns = {"shard": '"a"', "source": texts, "read": np.array([1, 20]), "late": np.array([0, 0])}
    lines = (
        '{"shard":"\\"a\\"","source":"Presse-é","read":1,"late":0}',
        '{"shard":"\\"a\\"","source":"Presse-ü","read":20,"late":0}',
    )
    assert json_lines(columns, 2) == "\n".join(lines).encode()
    for odd in (pa.array(['"', "x"]), pa.array([None, "\n"]), ["a", "b"], odd_numbers, odd_numbers.astype(np.int32)):
        assert json_lines({**columns, "source": odd}, 2) is None


def test_columns_of_every_form() -> None:
    codes = np.array([2, 9, 0, 9, 1, 9], np.int32)[::2]
    columns = {
        "coded": Coded(codes, pa.array(["a", "bé", ""])),
        "same": Coded(np.ones(3, np.int32), pa.array(["a", "b"])),
        "none": pa.array([None, "x", None], pa.string()),
        "never": pa.array([None] * 3, pa.string()),
        "is": np.array([True, False, True]),
        "always": np.array([True] * 3),
        "long " * 9: np.arange(3),
    }
    rows = [{name: column.tolist()[i] for name, column in columns.items()} for i in range(3)]
    assert json_lines(columns, 3) == b"\n".join(map(orjson.dumps, rows))


def test_numbers_of_any_length() -> None:
    numbers = [sign * end for end in ENDS for sign in (1, -1)]
    lines = [b'{"n":%d}' % number for number in numbers]
    assert json_lines({"n": np.array(numbers)}, len(numbers)) == b"\n".join(lines)


def test_a_text_outside_of_its_column_is_refused() -> None:
    ends = np.array([0, 1, 9, 4], np.int32)
    texts = pa.StringArray.from_buffers(3, pa.py_buffer(ends), pa.py_buffer(b"abcd"))
    with pytest.raises(AssertionError):
        json_lines({"source": texts}, 3)
    for code in (-1, 2):
        with pytest.raises(AssertionError):
            json_lines({"source": Coded(np.array([0, code], np.int32), pa.array(["a", "b"]))}, 2)
