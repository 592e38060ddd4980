"""Law of texts in state: what was written says the same in the codes of another process."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from canonical.columns import Vocabulary
from dataflows.processors.texts import text_array, text_codes

# Near each other, far apart, and all the same: each is compacted in another way.
codes_ = st.one_of(
    st.lists(st.integers(0, 9), max_size=30),
    st.lists(st.sampled_from([3, 500, 1999]), max_size=8),
    st.tuples(st.integers(0, 1999), st.integers(1, 9)).map(lambda drawn: [drawn[0]] * drawn[1]),
)


@given(codes_, st.integers(1, 3))
def test_texts_come_back_under_other_codes_and_only_those_in_use_are_kept(codes, stride):
    here, there = Vocabulary(), Vocabulary()
    here.codes(f"text {code}" for code in range(1, 2000))
    there.codes(["text 7", "other", "text 500"])
    column = np.repeat(np.array(codes, np.int32), stride)[::stride]
    array = text_array(column, here)
    assert array.to_pylist() == here.text(column)
    assert sorted(array.dictionary.to_pylist()) == sorted(set(here.text(column)))
    assert array.type == pa.dictionary(pa.int32(), pa.string())
    assert there.text(text_codes(pa.chunked_array([array]), there)) == here.text(column)
