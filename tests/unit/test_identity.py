"""Identities are golden: a value below that changes would post the past a second time (M25)."""

from __future__ import annotations

import json
from uuid import NAMESPACE_URL, UUID, uuid5

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canonical import identity
from canonical.identity import (
    NAMESPACE,
    content_identity,
    event_id,
    event_ids,
    posting_id,
    posting_id_texts,
    posting_ids,
    request_id,
)

ROWS = st.tuples(st.text(), st.text(), st.text(), st.integers(0, 2**53), st.text(), st.integers(0, 2**31))


def test_the_namespace_is_derived_from_the_urn() -> None:
    assert uuid5(NAMESPACE_URL, "urn:plantsync:identity") == NAMESPACE


@pytest.mark.parametrize(
    ("row", "golden"),
    [
        (("A", "press-1", "boot-7", 42, "confirmation", 0), "48a555e2-a0db-5165-b345-7737bac29e0a"),
        (("A", "press-1", "boot-7", 42, "supplementary", 0), "0196700a-7960-5ed0-84e9-4c0c47b1e780"),
        (("A", "press-1", "boot-7", 42, "confirmation", 1), "ba9d14a2-d909-5c01-9db9-7d425ee2d201"),
        (("Werk Köln", 'Pr"esse\\1', "", 2**53, "confirmation", 0), "8052028f-fd5d-52af-9fdc-795fcbc98719"),
    ],
)
def test_posting_ids_never_change(row: tuple[str, str, str, int, str, int], golden: str) -> None:
    assert str(posting_id(*row)) == golden
    assert posting_ids([row]) == [golden]


def test_event_ids_never_change() -> None:
    golden = "26e30928-4d97-561b-b410-3e14ec77cc8e"
    assert str(event_id("press-1", "boot-7", 42)) == golden
    assert event_ids([("press-1", "boot-7", 42)]) == [golden]


@pytest.mark.parametrize(("data", "golden"), [(b"abc", 15617099051652453721), (b"", 16476032584258269876)])
def test_content_identities_never_change(data: bytes, golden: int) -> None:
    assert content_identity(data) == golden


def test_a_content_identity_is_never_none(monkeypatch: pytest.MonkeyPatch) -> None:
    class Zero:
        def __init__(self, _data: bytes, digest_size: int) -> None:
            self.size = digest_size

        def digest(self) -> bytes:
            return bytes(self.size)

    monkeypatch.setattr("canonical.identity.blake2b", Zero)
    assert content_identity(b"abc") == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("A", "Bc", "", 1, "k", 0), ("AB", "c", "", 1, "k", 0)),
        (("A", "B", "C", 11, "k", 0), ("A", "B", "C1", 1, "k", 0)),
        (("A", 'B","C', "", 1, "k", 0), ("A", "B", "C", 1, "k", 0)),
    ],
)
def test_tuples_that_read_alike_when_joined_differ(
    one: tuple[str, str, str, int, str, int], other: tuple[str, str, str, int, str, int]
) -> None:
    assert posting_id(*one) != posting_id(*other)


@given(ROWS, ROWS)
def test_two_tuples_share_an_id_only_when_equal(
    one: tuple[str, str, str, int, str, int], other: tuple[str, str, str, int, str, int]
) -> None:
    assert (posting_id(*one) == posting_id(*other)) == (one == other)


@given(ROWS)
def test_an_id_is_the_uuid5_of_the_json_array(row: tuple[str, str, str, int, str, int]) -> None:
    text = json.dumps(row, separators=(",", ":"), ensure_ascii=False)
    assert posting_id(*row) == uuid5(NAMESPACE, text)


@given(st.lists(ROWS, max_size=20))
def test_many_at_once_are_the_same_ids(rows: list[tuple[str, str, str, int, str, int]]) -> None:
    assert posting_ids(rows) == [str(posting_id(*row)) for row in rows]


def test_the_request_id_is_32_hexadecimal_digits() -> None:
    assert request_id(UUID("48a555e2-a0db-5165-b345-7737bac29e0a")) == "48A555E2A0DB5165B3457737BAC29E0A"


@pytest.mark.skipif(identity._NAME_IDS is None, reason="the kernel is not compiled: no C compiler here")
@given(rows=st.lists(ROWS, min_size=1, max_size=3), long=st.integers(0, 200))
def test_a_kernel_makes_the_same_ids(rows: list[tuple[str, str, str, int, str, int]], long: int) -> None:
    rows = [(plant, source + "s" * (long + n), *rest) for n, (plant, source, *rest) in enumerate(rows)]  # type: ignore[misc]
    columns = [
        np.array(column) if isinstance(column[0], int) else pa.array(column, pa.string())
        for column in zip(*rows, strict=True)
    ]
    made = posting_id_texts(columns, len(rows))
    if made is None:  # JSON escapes something
        assert any(ord(c) < 32 or c in '"\\' for row in rows for text in row if isinstance(text, str) for c in text)
    else:
        assert made.to_pylist() == posting_ids(rows)
