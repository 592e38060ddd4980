"""The registry of event types, and what is generated of it (M51)."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from canonical.schemas import CONTRACTS
from dataflows import flow_names
from dataflows.analytics import ERP_TABLES, TABLES
from dataflows.asyncapi import DOCUMENT, document, problems, texts
from dataflows.settings.slo import SHIPPED
from dataflows.shards import POSTINGS_INPUTS
from sinks import streams
from sinks.stream_terms import PEOPLE, TERMS, Form, terms_of


@pytest.fixture(scope="module")
def told():
    return document()


def test_the_committed_files_are_what_the_terms_say():
    assert problems(texts()) == []


def test_a_file_that_says_something_else_is_stale(tmp_path):
    stale = tmp_path / "asyncapi.json"
    stale.write_text(texts()[DOCUMENT].replace("internal audit", "nobody"), "utf-8")
    assert problems({stale: texts()[DOCUMENT]}) == [
        "asyncapi.json: not what the streams' terms and contracts say; run python -m dataflows.asyncapi --write"
    ]


def test_every_stream_has_terms_and_only_streams_have():
    named = {value for name, value in vars(streams).items() if name.isupper()}
    assert TERMS.keys() == named
    assert terms_of(streams.postings("north")) is TERMS[streams.POSTINGS]


def test_terms_name_what_there_is():
    flows = {value for name, value in vars(flow_names).items() if name.isupper()} | {PEOPLE}
    objectives = {each.name for each in SHIPPED}
    for stream, terms in TERMS.items():
        assert terms.owner
        assert terms.timely, stream
        assert {*terms.writers, *terms.readers} <= flows, stream
        assert set(terms.objectives) <= objectives, stream
        fields = CONTRACTS[terms.contract][max(CONTRACTS[terms.contract])].model_fields
        if terms.form is not Form.ORIGINAL:
            keys = {name for part in terms.key for name in part.split(" or ")}
            assert keys <= {*fields, "shard"}, stream


def test_readers_are_the_flows_that_read():
    """The terms and the flows' own lists of what they read say the same."""
    reads = {
        flow: {stream for stream, terms in TERMS.items() if flow in terms.readers} for flow in ("analytics", "postings")
    }
    assert reads == {"analytics": {*TABLES, *ERP_TABLES, streams.POSTINGS}, "postings": set(POSTINGS_INPUTS)}


def test_the_document_is_sound(told):
    """AsyncAPI 3.0: what is required is there, every reference leads somewhere, every channel is used."""
    assert told["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= told["info"].keys()
    for path in _references(told):
        at = told
        for step in path.removeprefix("#/").split("/"):
            at = at[step]
    used = set()
    for operation in told["operations"].values():
        assert operation["action"] in {"send", "receive"}
        channel = operation["channel"]["$ref"].removeprefix("#/channels/")
        used.add(channel)
        for message in operation.get("messages", []):
            assert message["$ref"].startswith(f"#/channels/{channel}/messages/")
    assert used == told["channels"].keys()
    for name, channel in told["channels"].items():
        assert channel["messages"], name
        parameters = {part.partition("}")[0] for part in (channel["address"] or "").split("{")[1:]}
        assert parameters == channel.get("parameters", {}).keys()
    assert json.loads(json.dumps(told)) == told


def test_the_document_tells_a_reader_what_to_rely_on(told):
    trail, queue = told["channels"]["trail"], told["channels"]["postings"]
    assert trail["address"] == "plantsync.trail"
    assert trail["bindings"]["kafka"]["topicConfiguration"]["retention.ms"] == -1
    assert queue["address"] == "plantsync.postings-{erp}"
    assert queue["x-owner"] == "ERP process owner"
    event = told["components"]["schemas"]["Event"]
    assert event["required"] == ["plant", "source", "type", "occurred_us"], "what older records may lack has a default"
    assert {"order_reference", "step_reference", "material_reference"} <= told["channels"]["reference"][
        "messages"
    ].keys()


def _references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        for name, inner in node.items():
            if name == "$ref":
                yield inner
            else:
                yield from _references(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _references(inner)
