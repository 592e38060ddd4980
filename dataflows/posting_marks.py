"""How far the postings and the delivery flow have come, seen from outside: what they have read, and what they hold.

Law: what lies up to a mark, and is not held, has come to something that stands in the log.
"""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from dataflows.committed_states import committed_states
from dataflows.delivery.shards import PREFIX as ERP
from dataflows.flow_names import DELIVERY, POSTINGS
from dataflows.postings import SHARD
from dataflows.processors.delivery.entry import PREFIX as ENTRY
from dataflows.settings import Settings
from sinks.streams import CONFIRMATIONS
from sinks.streams import POSTINGS as QUEUES


def posting_marks(settings: Settings) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Return the last offset read of each shard of confirmations and queues; and (ERP, posting id) of those held.

    Raises: CommitLogUnavailable, CommitLogError.
    """
    marks: dict[str, int] = {}
    held: list[tuple[str, str]] = []
    names = [f"{ERP}{erp}" for erp in settings.erps]
    for flow, shards in ((POSTINGS, [SHARD]), (DELIVERY, names)):
        for shard, snapshot in committed_states(settings, shards, flow).items():
            streams = (CONFIRMATIONS,) if shard == SHARD else (QUEUES + shard.removeprefix(ERP),)
            marks.update(_marks(settings, snapshot.position, streams))
            erp = shard.removeprefix(ERP)
            held += [(erp, name.removeprefix(ENTRY)) for name in snapshot.state if name.startswith(ENTRY)]
    return marks, held


def _marks(settings: Settings, position: str, streams: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    """Yield the shard of each place of a merged position that is in these streams, and an offset that was read of it.

    Where records come as there is room for them, so many were ``given`` behind a place; each has an offset of its own,
    so that as many lie behind it at least.
    """
    topics = {settings.kafka.connection().topic(stream) for stream in streams} if settings.kafka is not None else ()
    for text in orjson.loads(position)["places"].values():
        place, given = orjson.loads(text), 0
        if "given" in place:
            place, given = orjson.loads(place["place"]), place["given"]
        if place.get("stream") in streams:
            yield f"stream:{place['stream']}", place["offset"] + given
        elif place.get("topic") in topics:
            yield f"{place['topic']}-{place['partition']}", place["offset"] + given - 1
