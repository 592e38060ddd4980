"""Lines are where a naive reader finds them, with the kernel and without."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from canonical import records


def naive(data: bytes) -> list[bytes]:
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return [line.removesuffix(b"\r") for line in lines]


@pytest.mark.parametrize("kernel", [True, False])
@given(st.lists(st.sampled_from([b"\n", b"\r", b"\r\n", b"a", b"{}", b"\x8a\x0b", b"x" * 63, b"y" * 200])))
@example([b"\n"] * 300)
@example([b"x" * 63, b"\n", b"x" * 63, b"\r\n", b"z"])
def test_lines(kernel: bool, pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    if kernel and records._SPANS is None:
        pytest.skip("the kernel is not compiled: no C compiler here")
    with pytest.MonkeyPatch.context() as patch:
        if not kernel:
            patch.setattr(records, "_SPANS", None)
        found = records.RawRecords.from_lines(data, first_offset=7)
    assert [found.value(row) for row in range(len(found))] == naive(data)
    assert (found.offsets == found.starts + 7).all()
