"""What a log holds, held against the registry: each record is of its contract and has the key that is declared."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from canonical.schemas import CONTRACTS
from sinks.dead_letters import parse
from sinks.sqlite import SqliteStreams
from sinks.stream_terms import Form, terms_of

MOST = 2_000


def broken_terms(log: Path) -> tuple[set[str], list[str]]:
    """Return the streams of a log and which of their first records are not as their terms say."""
    streams = SqliteStreams(log)
    try:
        names = set(streams.streams())
        return names, [line for stream in names for line in _broken(streams, stream)]
    finally:
        streams.close()


def _broken(streams: SqliteStreams, stream: str) -> Iterator[str]:
    terms = terms_of(stream)
    model = CONTRACTS[terms.contract][max(CONTRACTS[terms.contract])]
    for stored in streams.read(stream, 0, MOST):
        headers = dict(stored.headers)
        if terms.form is Form.ORIGINAL:
            parse(stored)
            continue
        if (terms.form is Form.CLOUD_EVENT) != ("ce_id" in headers):
            yield f"{stream}: {terms.form} with headers {sorted(headers)}"
        lines = stored.value.split(b"\n") if terms.form is Form.LINES else [stored.value]
        for line in lines:
            model.model_validate_json(line)
            key = (stored.key or b"").decode()
            if key != _key(terms.key, {"shard": key, **orjson.loads(line)}):  # not every record repeats its shard
                yield f"{stream}: key {key!r} of {line.decode()}"


def _key(parts: tuple[str, ...], row: dict[str, Any]) -> str:
    return "/".join(next((row[name] for name in part.split(" or ") if row[name]), "") for part in parts)
