"""B2MML under fuzz: documents of one event, and the lines that files of them become."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random

from canonical.b2mml import performance
from canonical.b2mml.event_lines import event_lines
from tests import b2mml_documents
from tests.b2mml_documents import actual
from tests.b2mml_postings import POSTINGS
from tests.fuzz import seeds
from tests.fuzz.decode_target import DecodeTarget
from tests.fuzz.targets import Target

_PIECES = (
    b"<", b">", b"</", b"/>", b"&", b"&amp;", b"&#0;", b"&#xD800;", b"&a;", b"<!--", b"-->", b"<![CDATA[", b"]]>",
    b"<?x ?>", b"<?xml version='1.1'?>", b'<!DOCTYPE a [<!ENTITY b "c">]>', b"<ID>", b"</ID>", b' xmlns=""',
    b' xmlns="u:x"', b"<x>" * 70, b"x" * 257, b"\0", b"\xff", b"\xc2\x85", b"-1", b"1e400", b"0.0001", b"1,5",
    b"2026-03-29T02:30:00", b"0001-01-01T00:00:00", b"2026-03-03T11:00:00+25:00", b"By-product Produced",
)  # fmt: skip


def damaged(rng: Random, document: bytes, donors: Sequence[bytes]) -> bytes:
    """Return a document with a piece of it gone, doubled, or of another kind, at the edge of a tag."""
    parts = document.split(b"<")
    at, end = sorted(rng.randrange(len(parts) + 1) for _ in range(2))
    theirs = rng.choice(donors).split(b"<")
    middle = rng.choice(
        ([rng.choice(_PIECES)], [], parts[at:end] * 2, theirs[rng.randrange(len(theirs)) :][:6], [b"/" + parts[at - 1]])
    )
    return b"<".join([*parts[:at], *middle, *parts[min(end, at + 3) :]])


def targets() -> Mapping[str, Target]:
    """Return the target; documents of others are among its seeds where they are at hand."""
    segments = ("Consumed", "Produced", "By-product Produced", "Consumable")
    own = [b2mml_documents.performance(actual(use), release) for use in segments for release in ("V0401", "V0700")]
    documents = [*own, *map(performance, POSTINGS), *seeds.documents("b2mml*/*.xml")]
    lines = [line for document in documents for line in event_lines(document)]
    return {"b2mml": DecodeTarget(seeds.own_plant("weighing"), (*documents, *lines), damaged, 0.8, batch_messages=200)}
