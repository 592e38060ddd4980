"""What people read of the streams, docs/streams.md: written from their terms (``sinks.stream_terms``), never by hand.

``python -m dataflows.asyncapi`` writes it, and the same for programs (M51).
"""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel

from canonical.schemas import CONTRACTS, columns
from sinks.kafka_settings import KafkaSettings
from sinks.stream_terms import TERMS, Form, StreamTerms
from sinks.streams import POSTINGS

EVERY: Final = "exactly once into the log: in one transaction with position and state; read committed"
"""The delivery promise of all streams; the mechanism is docs/decisions/0001."""
PLACED: Final = "by murmur2 of the key, as Java's producer does"
KAFKA: Final = KafkaSettings({"bootstrap.servers": "as the settings say"})

_OPENING: Final = """\
# Streams

Written by `python -m dataflows.asyncapi --write` from `sinks/stream_terms.py`; do not edit. For programs the same is in
[asyncapi.json](asyncapi.json), an AsyncAPI 3.0 document with the JSON schemas of the [contracts](contracts.md).

On Kafka a stream is the topic of that name after `kafka.prefix`; the embedded log keeps all streams in one file. What
holds for each:

- It is written {every}.
- A reader that begins again at its last position may read a record twice, and knows it by the fields named.
- What has one key keeps its order. A key's partition is found {placed}.
- Topics that plantsync creates have `kafka.partitions`, {partitions} by default.
- Kept: for `kafka.retention_ms`, {days} days by default; the embedded log forgets nothing.
- Residency is that of the plant that the record names: see [governance](governance.md).
- A contract changes only as [contracts](contracts.md) allows, and its owner agrees to it.
- Beside them each flow has a topic `<flow>-state`, compacted, that is nobody else's.
"""


def page() -> str:
    """Return what docs/streams.md has to say."""
    days = int(KAFKA.record_topic()["retention.ms"]) // 86_400_000
    lines = [_OPENING.format(every=EVERY, placed=PLACED, partitions=KAFKA.partitions, days=days)]
    for stream, terms in TERMS.items():
        lines += _section(stream, terms)
    return "\n".join(lines).rstrip("\n") + "\n"


def _section(stream: str, terms: StreamTerms) -> list[str]:
    version = max(CONTRACTS[terms.contract])
    link = f"contracts.md#{terms.contract.lower()}-version-{version}"
    objectives = f"; objectives {', '.join(terms.objectives)}" if terms.objectives else ""
    counts = "; the newest counts" if terms.newest_counts else ""
    rows = {
        "contract": f"[{terms.contract}, version {version}]({link}), as {terms.form.value}",
        "owner": terms.owner,
        "written by": ", ".join(terms.writers),
        "read by": ", ".join(terms.readers) or "the systems that are asked",
        "key": " / ".join(f"`{part}`" for part in terms.key),
        "known by": " / ".join(f"`{part}`" for part in terms.known_by) + counts,
        "there": terms.timely + objectives,
        "kept": kept(terms),
        "residency": residency(terms),
    }
    title = f"{stream}<erp>" if stream == POSTINGS else stream
    head = [f"## {name_of(stream)}", "", f"`{title}`: {terms.meaning}", "", "| | |", "|---|---|"]
    return [*head, *(f"| {name} | {words} |" for name, words in rows.items()), ""]


def name_of(stream: str) -> str:
    """Return the name of a stream; without what the name of an ERP follows."""
    return stream.rstrip("-")


def newest(contract: str) -> type[BaseModel]:
    """Return the newest version of a contract."""
    return CONTRACTS[contract][max(CONTRACTS[contract])]


def kept(terms: StreamTerms) -> str:
    """Return how long the records of a stream are kept."""
    return "for ever" if terms.for_ever else f"{int(KAFKA.record_topic()['retention.ms']) // 86_400_000} days"


def residency(terms: StreamTerms) -> str:
    """Return under whose residency the records of a stream are."""
    model = newest(terms.contract)
    if terms.form is Form.ORIGINAL or "plant" in columns(model):
        return "that of its plant"
    return "none: it names no plant"
