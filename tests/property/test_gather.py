"""Gather: with the kernel and without it, each item is the one its code names; a code of no row is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canonical import gather as module
from canonical.columns import EventBatch
from canonical.gather import codes_of, gather

DTYPES = (np.int64, np.int32, np.uint32, np.int8, np.bool_)
CODES = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 999)), max_size=60)


@pytest.mark.parametrize("dtype", DTYPES)
@given(lengths=st.lists(st.integers(1, 20), min_size=1, max_size=4), named=CODES, stride=st.sampled_from([1, 2]))
def test_kernel_and_twin_give_what_the_codes_name(dtype: type, lengths: list, named: list, stride: int) -> None:
    rng = np.random.default_rng(len(lengths))
    numbers = [2 * i for i in range(len(lengths))]  # there may be numbers without a batch
    columns = {
        k: rng.integers(0, 100, stride * n).astype(dtype)[::stride] for k, n in zip(numbers, lengths, strict=True)
    }
    wanted = [(numbers[k % len(numbers)], row % lengths[k % len(numbers)]) for k, row in named]
    codes = np.array([codes_of(k, np.array([row]))[0] for k, row in wanted], np.int64)
    expected = [columns[k][row] for k, row in wanted]
    assert gather(columns, codes, dtype).tolist() == expected
    assert module._gathered(columns, codes, np.dtype(dtype)).tolist() == expected


@pytest.mark.parametrize("code", [3, 1 << 32, 5 << 32, -1])
def test_a_code_that_names_no_row_is_never_read(code: int) -> None:
    column = {0: np.arange(3)}
    with pytest.raises((AssertionError, KeyError, IndexError)):
        gather(column, np.array([code]), np.int64)


def test_a_selected_batch_has_the_defaults_of_columns_that_only_others_carry() -> None:
    one = EventBatch(2, {"seq": np.array([4, 5]), "lot": np.array([7, 8], np.int32)})
    other = EventBatch(1, {"seq": np.array([6]), "row": np.array([9], np.int32)})
    out = EventBatch.select({0: one, 3: other}, np.array([3 << 32, 1, 0]))
    assert {name: out[name].tolist() for name in out.names} == {"seq": [6, 5, 4], "lot": [0, 8, 7], "row": [9, -1, -1]}
