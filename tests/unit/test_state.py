"""State as bytes: what is written is read, and nothing else is taken for it."""

import numpy as np
import pyarrow as pa
import pytest

from canonical.columns import Sessions, Vocabulary
from dataflows.processors.state import (
    StateVersionUnknown,
    decode_table,
    encode_table,
    session_columns,
    session_rows,
)

TABLE = pa.table({"a": [1, 2]})
DATA = encode_table("one", 1, TABLE)


def test_tables_follow_each_other_in_one_value():
    two = pa.table({"b": ["x"]})
    reader = pa.BufferReader(DATA + encode_table("two", 3, two))
    assert decode_table("one", {1}, reader)[1].to_pylist() == TABLE.to_pylist()
    version, table = decode_table("two", {2, 3}, reader)
    assert (version, table.to_pylist()) == (3, two.to_pylist())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "cannot be read"),
        (b"no such thing", "cannot be read"),
        (DATA[:100], "cannot be read"),
        (DATA[:-20], "cannot be read"),
        (encode_table("other", 1, TABLE), r"expected state one of version \[1\], found other version 1"),
        (encode_table("one", 2, TABLE), r"found one version 2\. Run the release that wrote it"),
    ],
)
def test_anything_else_is_refused(data, message):
    with pytest.raises(StateVersionUnknown, match=message):
        decode_table("one", {1}, data)


def test_a_stream_of_no_kind_is_refused():
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, TABLE.schema) as writer:
        writer.write_table(TABLE)
    with pytest.raises(StateVersionUnknown, match="found nothing version unknown"):
        decode_table("one", {1}, sink.getvalue().to_pybytes())


def test_sessions_find_their_rows_whatever_codes_they_have_there():
    here, there = Sessions(Vocabulary()), Sessions(Vocabulary())
    for name in ("m1", "m2", "m3"):
        here.row(here.vocabulary.code("A"), here.vocabulary.code(name), here.vocabulary.code("s"))
    there.row(there.vocabulary.code("A"), there.vocabulary.code("m3"), there.vocabulary.code("s"))
    table = pa.table(session_columns(np.array([2, 0]), here))
    assert session_rows(table, there).tolist() == [0, 1]
    assert [there.vocabulary.texts[source] for source in there.source] == ["m3", "m1"]


def test_large_tables_are_compressed_and_read_like_small_ones_before_and_after_them():
    large = pa.table({"a": np.arange(200_000) // 100, "t": pa.array(["x"] * 200_000).dictionary_encode()})
    data = encode_table("one", 1, TABLE) + encode_table("two", 1, large) + encode_table("three", 1, TABLE)
    assert len(data) < large.nbytes // 4
    reader = pa.BufferReader(data)
    assert [decode_table(kind, {1}, reader)[1] for kind in ("one", "two", "three")] == [TABLE, large, TABLE]


def test_large_tables_of_releases_that_did_not_compress_are_read():
    large = pa.table({"a": np.arange(200_000)}).replace_schema_metadata({"kind": "one", "version": "1"})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, large.schema) as writer:
        writer.write_table(large)
    assert decode_table("one", {1}, sink.getvalue().to_pybytes()) == (1, large)


def test_the_compression_of_state_is_part_of_every_pyarrow():
    assert pa.Codec.is_available("lz4")
