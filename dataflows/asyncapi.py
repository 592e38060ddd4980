"""The streams as an AsyncAPI 3.0 document, docs/asyncapi.json, and as a page, docs/streams.md (M51).

Both are written from the terms (``sinks.stream_terms``), the contracts and the defaults of the settings, never by hand.

    python -m dataflows.asyncapi --check   exits 1 when one of them says something else
    python -m dataflows.asyncapi --write   writes both

Source: AsyncAPI 3.0.0, Kafka bindings 0.5.0, CloudEvents 1.0.2 Kafka protocol binding (binary mode).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic.json_schema import models_json_schema

from canonical.contracts.reference import Reference
from canonical.derived_files import check_or_write
from canonical.schemas import CONTRACTS
from dataflows.postings import REFERENCE_INPUT
from dataflows.stream_page import EVERY, KAFKA, PLACED, kept, name_of, newest, page, residency
from sinks.stream_terms import PEOPLE, TERMS, Form, StreamTerms
from sinks.streams import POSTINGS

DOCS: Final = Path(__file__).parents[1] / "docs"
DOCUMENT: Final = DOCS / "asyncapi.json"
PAGE: Final = DOCS / "streams.md"
BINDING: Final = "0.5.0"
_CONTENT: Final = {
    Form.CLOUD_EVENT: "application/json",
    Form.DOCUMENT: "application/json",
    Form.LINES: "application/x-ndjson",
    Form.ORIGINAL: "application/octet-stream",
}
_HEADERS: Final = {
    "ce_specversion": "1.0",
    "ce_id": "Known by it.",
    "ce_source": "Who says so: /plantsync/<plant>/<source>, or the flow.",
    "ce_type": "plantsync.<contract>.v<version>",
    "ce_time": "When it happened, RFC 3339.",
    "ce_recordedtime": "When it was stored, RFC 3339.",
    "ce_partitionkey": "The key.",
    "ce_subject": "The order, where there is one.",
    "ce_sequence": "Number in its session, in 20 digits.",
    "ce_correlationid": "The business transaction, where it has a name.",
}
_CERTAIN: Final = ("ce_specversion", "ce_id", "ce_source", "ce_type", "ce_partitionkey")


def document() -> dict[str, Any]:
    """Return the AsyncAPI document."""
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    messages: dict[str, Any] = {}
    for stream, terms in TERMS.items():
        name = name_of(stream)
        messages[name] = _message(name, terms)
        channels[name] = _channel(stream, terms)
        operations |= {key: _operation(name, key, terms) for key in _operations(name, terms)}
    told = [contract for contract in CONTRACTS if issubclass(newest(contract), Reference)]
    messages |= {contract: _reference_message(contract) for contract in told}
    channels[REFERENCE_INPUT] = _reference_channel(told)
    for flow in ("postings", "analytics"):
        operations[f"{flow}-receives-{REFERENCE_INPUT}"] = {
            "action": "receive",
            "channel": {"$ref": f"#/channels/{REFERENCE_INPUT}"},
        }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "plantsync",
            "version": "1.0.0",
            "description": "Streams of plantsync's commit log, and the reference data it reads. "
            "What holds for all of them is in docs/streams.md.",
        },
        "defaultContentType": "application/json",
        "servers": {
            "kafka": {
                "host": "{bootstrap}",
                "protocol": "kafka",
                "description": "The cluster of kafka.properties; topics begin with kafka.prefix.",
                "variables": {"bootstrap": {"default": "localhost:9092", "description": "bootstrap.servers"}},
            }
        },
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": messages,
            "messageTraits": {
                "cloudEvent": {
                    "headers": {
                        "type": "object",
                        "required": list(_CERTAIN),
                        "properties": {
                            name: {"type": "string", "description": words} for name, words in _HEADERS.items()
                        },
                    }
                }
            },
            "schemas": _schemas(),
        },
    }


def _message(name: str, terms: StreamTerms) -> dict[str, Any]:
    """Return the message of a stream: one record of it."""
    model = newest(terms.contract)
    made: dict[str, Any] = {
        "name": name,
        "title": f"{terms.contract}, version {max(CONTRACTS[terms.contract])}",
        "summary": terms.meaning,
        "contentType": _CONTENT[terms.form],
        "bindings": {
            "kafka": {"key": {"type": "string", "description": _key(terms)}, "bindingVersion": BINDING},
        },
        "payload": {"$ref": f"#/components/schemas/{model.__name__}"},
    }
    if terms.form is Form.CLOUD_EVENT:
        made["traits"] = [{"$ref": "#/components/messageTraits/cloudEvent"}]
    elif terms.form is Form.LINES:
        made["description"] = "One such object a line, at least one."
    elif terms.form is Form.ORIGINAL:
        made["payload"] = {"description": "The record as it came. Read with its headers it is the contract."}
        made["x-contract"] = {"$ref": f"#/components/schemas/{model.__name__}"}
    return made


def _channel(stream: str, terms: StreamTerms) -> dict[str, Any]:
    name, erp = name_of(stream), stream == POSTINGS
    topic = KAFKA.topic(f"{stream}{{erp}}" if erp else stream)
    configuration = KAFKA.record_topic(stream)
    made: dict[str, Any] = {
        "address": topic,
        "title": name,
        "description": terms.meaning,
        "messages": {name: {"$ref": f"#/components/messages/{name}"}},
        "bindings": {
            "kafka": {
                **({} if erp else {"topic": topic}),
                "partitions": KAFKA.partitions,
                "topicConfiguration": {
                    "cleanup.policy": [configuration["cleanup.policy"]],
                    "retention.ms": int(configuration["retention.ms"]),
                    "max.message.bytes": int(configuration["max.message.bytes"]),
                },
                "bindingVersion": BINDING,
            }
        },
        "x-owner": terms.owner,
        "x-contract": {"name": terms.contract, "version": max(CONTRACTS[terms.contract])},
        "x-slo": {"there": terms.timely, "objectives": list(terms.objectives)},
        "x-retention": kept(terms),
        "x-residency": residency(terms),
        "x-key": list(terms.key),
        "x-partitioning": PLACED,
        "x-delivery": EVERY,
        "x-known-by": list(terms.known_by),
        "x-newest-counts": terms.newest_counts,
    }
    if erp:
        made["parameters"] = {"erp": {"description": "Name of the ERP instance, as in [erps.<name>] of the settings."}}
    return made


def _operations(name: str, terms: StreamTerms) -> Iterator[str]:
    yield from (f"{writer}-sends-{name}" for writer in terms.writers)
    yield from (f"{reader}-receives-{name}" for reader in terms.readers)


def _operation(name: str, key: str, terms: StreamTerms) -> dict[str, Any]:
    who, verb, _ = key.split("-", 2)
    named = "People, by commands and the control tower" if who == PEOPLE else f"Flow {who}"
    return {
        "action": verb.removesuffix("s"),
        "channel": {"$ref": f"#/channels/{name}"},
        "messages": [{"$ref": f"#/channels/{name}/messages/{name}"}],
        "summary": f"{named}: {terms.meaning}",
    }


def _reference_message(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "title": f"{name}, version {max(CONTRACTS[name])}",
        "contentType": "application/json",
        "payload": {"$ref": f"#/components/schemas/{newest(name).__name__}"},
    }


def _reference_channel(names: Sequence[str]) -> dict[str, Any]:
    return {
        "address": None,
        "title": REFERENCE_INPUT,
        "description": "Reference data: the topics of reference.topics, one set for each system that owns some.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        "x-owner": "the system that the settings name it for",
        "x-delivery": "the record with the greatest changed_us counts, in whatever order they come",
    }


def _schemas() -> dict[str, Any]:
    """Return the JSON schemas of the newest contracts and of what they are made of."""
    models = [(newest(contract), "serialization") for contract in CONTRACTS]
    _, found = models_json_schema(models, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    return dict(sorted(found["$defs"].items()))


def _key(terms: StreamTerms) -> str:
    return "/".join(terms.key)


def texts() -> Mapping[Path, str]:
    """Return what each file has to say."""
    return {DOCUMENT: json.dumps(document(), indent=2, ensure_ascii=False) + "\n", PAGE: page()}


def problems(wanted: Mapping[Path, str]) -> list[str]:
    """Return which files say something else."""
    return [
        f"{path.name}: not what the streams' terms and contracts say; run python -m dataflows.asyncapi --write"
        for path, text in wanted.items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]


def write() -> None:
    """Write both."""
    for path, text in texts().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(check_or_write("dataflows.asyncapi", "The streams, told.", lambda: problems(texts()), write))
