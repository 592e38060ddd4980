"""Schemas of a registry: asked for once, kept with the shard, an outage while not known, a fault when there is none."""

from __future__ import annotations

import io
import json
import re
import struct
import time
from pathlib import Path

import fastavro
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from canonical.columns import Vocabulary
from canonical.decoders import decode
from canonical.mapping import load
from canonical.records import NO_RECORDS, RawRecords
from canonical.schema_references import inlined
from canonical.writer_schema import writer_schema
from dataflows import settings as settings_file
from dataflows.outage import PatientReader
from dataflows.section import ENVIRONMENT
from dataflows.settings.registry import RegistrySection, SchemaRegistrySection
from dataflows.sources import with_schemas
from dataflows.sources.errors import SourceUnavailable
from dataflows.sources.known_schemas import IDS_MAX, PART
from dataflows.sources.schema_registry import REFERENCES_MAX, SchemaRegistry
from dataflows.sources.shard_source import ShardInput
from sinks.commit_log import PlantsyncError
from tests.certificates import self_signed
from tests.peers import schema_registry
from tests.unit.test_settings import PAGE, _rows

NOW_US = 1_767_600_000_000_000
V1 = {
    "type": "record",
    "name": "plant.Event",
    "fields": [
        {"name": "machine", "type": "string"},
        {"name": "n", "type": "long"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "good", "type": ["null", "double"], "default": None},
    ],
}
V2 = {**V1, "fields": [{"name": "order", "type": "string"}, *V1["fields"]]}
V3 = {**V1, "fields": [*V1["fields"], {"name": "order", "type": ["null", "string"], "default": None}]}
MAPPING = """
plant = "A"
format = "avro"
default_type = "partial"
[input]
topics = ["a"]
[fields]
source = "machine"
seq = "n"
occurred = "at"
good = "good"
order = "order"
[avro]
registry = "main"
[avro.ids]
9000 = "own.avsc"
"""


def message(number: int, schema: dict, n: int, **more: object) -> bytes:
    body = io.BytesIO()
    event = {"machine": "M", "n": n, "at": NOW_US // 1000, "good": 1.0, "order": f"o{n}", **more}
    fastavro.schemaless_writer(body, schema, event)
    return b"\0" + struct.pack(">I", number) + body.getvalue()


class Messages:
    """A reader of messages, a batch each poll; its position is the number of the next one."""

    def __init__(self, batches: list[list[bytes]]) -> None:
        self.batches, self.at, self.closed = batches, 0, False

    def seek(self, position, state):  # noqa: ARG002 - the position is all
        self.at = int(position or 0)

    def poll(self):
        if self.at == len(self.batches):
            return NO_RECORDS
        first = sum(map(len, self.batches[: self.at]))
        values = self.batches[self.at]
        self.at += 1
        return RawRecords.from_values(values, np.arange(first, first + len(values)), "a")

    def position(self):
        return str(self.at)

    def state(self):
        return {}

    def at_end(self):
        return self.at == len(self.batches)

    def behind(self):
        return len(self.batches) - self.at

    def close(self):
        self.closed = True


class Clock:
    def __init__(self) -> None:
        self.now_us = NOW_US

    def __call__(self) -> int:
        return self.now_us


@pytest.fixture(scope="module")
def mapping(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mapping")
    (folder / "own.avsc").write_text(json.dumps(V1))
    (folder / "a.toml").write_text(MAPPING)
    return load(folder / "a.toml")


@pytest.fixture
def peer():
    peer = schema_registry.SchemaRegistry()
    for schema in (V1, V2, V3):
        peer.register("a-value", json.dumps(schema))
    yield peer
    peer.close()


def section(url: str, **more: object) -> SchemaRegistrySection:
    return SchemaRegistrySection(url=url, **more)


def reader(registry: SchemaRegistry, mapping, batches, clock=None):
    source = ShardInput(lambda: Messages(batches), mapping, registry=registry)
    return with_schemas.opened(source, clock or Clock())


def polled(reader):
    """Return the next batch, waiting for the registry's answers."""
    deadline = time.monotonic() + 20
    while not len(records := reader.poll()):
        if reader.at_end():
            return NO_RECORDS
        assert time.monotonic() < deadline
    return records


def outcome(mapping, batches: list[RawRecords]):
    """What the records of batches become: events as rows, and faults, by offset."""
    rows = {}
    for records in batches:
        vocabulary = Vocabulary()
        done = decode(mapping, records, vocabulary, NOW_US)
        for i, offset in enumerate(done.events["offset"].tolist()):
            event = done.events
            rows[offset] = (vocabulary.texts[event["order"][i]], int(event["seq"][i]), int(event["good"][i]))
        for fault in done.faults:
            rows[int(records.offsets[fault.row])] = (fault.code.value, fault.detail)
        assert len(done.events) + len(done.faults) == len(records)
    return rows


def test_each_id_is_asked_for_once_and_what_the_mapping_lists_never(peer, mapping):
    batches = [[message(1, V1, 1), message(2, V2, 2)], [message(2, V2, 3), message(9000, V1, 4)], [message(3, V3, 5)]]
    read = reader(SchemaRegistry(section(peer.url), "main"), mapping, batches)
    read.seek(None, {})
    found = [polled(read) for _ in batches]

    assert peer.asked == ["/schemas/ids/1", "/schemas/ids/2", "/schemas/ids/3"]
    assert outcome(mapping, found) == {
        0: ("", 1, 1000), 1: ("o2", 2, 1000), 2: ("o3", 3, 1000), 3: ("", 4, 1000), 4: ("o5", 5, 1000),
    }  # fmt: skip
    assert set(json.loads(read.state()[PART])) == {"1", "2", "3"}
    assert read.state() == {}
    assert read.at_end()
    assert len(polled(read)) == 0


def test_what_a_shard_knows_it_reads_without_the_registry_and_the_rest_waits(peer, mapping):
    """A restart while the registry is away; then it comes back (law 3)."""
    batches = [[message(1, V1, 1)], [message(1, V1, 2), message(2, V2, 3)], [message(1, V1, 4)]]
    first = reader(SchemaRegistry(section(peer.url), "main"), mapping, batches)
    first.seek(None, {})
    polled(first)
    state = first.state()
    port = peer.port
    peer.close()

    clock = Clock()
    registry = SchemaRegistry(section(f"http://127.0.0.1:{port}", timeout_s=1), "main")
    source = ShardInput(lambda: Messages(batches), mapping, registry=registry)
    patient = PatientReader("s", lambda: with_schemas.opened(source, clock), clock, lambda: 1.0, 2.0)
    patient.seek("0", state)
    assert outcome(mapping, [polled(patient)]) == {0: ("", 1, 1000)}
    for _ in range(3):
        clock.now_us += 2_100_000
        for _ in range(40):
            assert len(patient.poll()) == 0
        assert patient.position() == "1"
        assert not patient.at_end()

    again = schema_registry.SchemaRegistry(port)
    for schema in (V1, V2):
        again.register("a-value", json.dumps(schema))
    clock.now_us += 2_100_000
    assert outcome(mapping, [polled(patient)]) == {1: ("", 2, 1000), 2: ("o3", 3, 1000)}
    assert patient.position() == "2"
    assert outcome(mapping, [polled(patient)]) == {3: ("", 4, 1000)}
    assert again.asked == ["/schemas/ids/2"]
    assert set(json.loads(patient.state()[PART])) == {"1", "2"}
    again.close()


def test_an_id_that_nobody_knows_is_a_dead_letter_until_it_is_registered(peer, mapping):
    clock = Clock()
    batches = [[message(4, V1, 1), message(1, V1, 2)]] * 4
    read = reader(SchemaRegistry(section(peer.url), "main"), mapping, batches, clock)
    read.seek(None, {})
    refused = ("UNKNOWN_SCHEMA", "the schema of id 4 is not in [avro.ids], and registry main has none")
    assert outcome(mapping, [polled(read)]) == {0: refused, 1: ("", 2, 1000)}
    clock.now_us += 59_000_000
    assert outcome(mapping, [polled(read)])[2] == refused
    assert peer.asked == ["/schemas/ids/1", "/schemas/ids/4"]
    clock.now_us += 2_000_000
    peer.register("b-value", json.dumps({**V1, "doc": "new"}))
    assert outcome(mapping, [polled(read)])[4] == ("", 1, 1000)
    clock.now_us += 61_000_000
    polled(read)
    assert len(peer.asked) == 3


def error(code: int) -> bytes:
    return json.dumps({"error_code": code, "message": "?"}).encode()


def avro(schema: object, **more: object) -> bytes:
    return json.dumps({"schema": json.dumps(schema), **more}).encode()


DEEP = "int"
for _ in range(80):
    DEEP = {"type": "array", "items": DEEP}
REFUSED = [
    (404, error(40403), "registry main has none"),
    (200, avro(V1, schemaType="PROTOBUF"), "what registry main has is PROTOBUF, not Avro"),
    (200, avro({"type": "record"}), "what registry main has is no Avro schema: "),
    (200, avro(DEEP), "what registry main has is no Avro schema: types are nested more than 64 levels deep"),
    (200, avro(["null", ["null"]]), "what registry main has is no Avro schema: "),
    (200, avro("int" + " " * 5_000), "the answer of registry main is longer than 4,096 bytes"),
    (200, json.dumps({"schema": "[" * 1_500}).encode(), "what registry main has is no Avro schema: "),
]
OUTAGES = [
    (404, b"<html>no such page</html>", "it is 404; check address, credentials and rights"),
    (404, error(404), "it is 404"),
    (401, error(40101), "it is 401"),
    (403, b"", "it is 403"),
    (302, b"", "it is 302"),
    (429, b"", "answers 429"),
    (500, error(50001), "answers 500"),
    (503, b"<html>", "answers 503"),
    (200, b"<html>a portal</html>", "it is no JSON object"),
    (200, b"[1]", "it is no JSON object"),
    (200, b'{"id": 1}', "it has no schema"),
    (200, b'{"schema": 5}', "it has no schema"),
    (200, avro(V1, references={"name": "x"}), "its references are no list"),
    (200, avro(V1, references=[{"name": "x"}]), "a reference without name, subject and version"),
]


def test_what_is_no_schema_is_refused_and_what_is_no_answer_is_an_outage(peer, mapping):
    registry = SchemaRegistry(section(peer.url, answer_bytes_max=4_096), "main")
    for status, body, told in REFUSED:
        read = reader(registry, mapping, [[message(7, V1, 1)]])
        read.seek(None, {})
        peer.answers.append((status, {}, body))
        (code, detail) = outcome(mapping, [polled(read)])[0]
        assert code == "UNKNOWN_SCHEMA"
        assert told in detail
        assert read.state() == {}
    for status, body, told in OUTAGES:
        read = reader(registry, mapping, [[message(1, V1, 1)]])
        read.seek(None, {})
        peer.answers.append((status, {"Location": peer.url}, body))
        with pytest.raises(PlantsyncError, match=re.escape(told)) as raised:
            polled(read)
        assert raised.value.retryable
        assert read.position() == "0"


def test_more_ids_than_are_asked_for_at_a_time_are_all_answered_and_the_state_is_bounded(peer, mapping):
    ids = range(1, 3 * IDS_MAX)
    for number in range(4, 40):
        peer.register("a-value", json.dumps({**V1, "doc": str(number)}))
    read = reader(SchemaRegistry(section(peer.url, schemas_max=5), "main"), mapping, [[message(i, V1, i) for i in ids]])
    read.seek(None, {})
    done = outcome(mapping, [polled(read)])
    assert [done[i][0] == "UNKNOWN_SCHEMA" for i in range(len(ids))] == [number >= 40 for number in ids]
    assert len(peer.asked) == len(ids)
    assert set(json.loads(read.state()[PART])) == {"35", "36", "37", "38", "39"}


def test_schemas_that_refer_to_others_are_put_together(peer, tmp_path):
    unit = {"type": "enum", "name": "Unit", "namespace": "base", "symbols": ["PCE", "KGM"]}
    amount = {
        "type": "record", "name": "base.Amount",
        "fields": [{"name": "unit", "type": "Unit"}, {"name": "value", "type": "double"}],
    }  # fmt: skip
    event = {**V1, "fields": [*V1["fields"][:3], *({"name": f, "type": "base.Amount"} for f in ("good", "rest"))]}
    peer.register("unit/1", json.dumps(unit))
    peer.register("amount", json.dumps(amount), [{"name": "base.Unit", "subject": "unit/1", "version": 1}])
    number = peer.register("e", json.dumps(event), [{"name": "base.Amount", "subject": "amount", "version": 1}])
    lost = peer.register("l", json.dumps(event), [{"name": "base.Amount", "subject": "amount", "version": 9}])
    chain = [{"name": f"n{i}", "subject": "loop", "version": i + 1} for i in range(REFERENCES_MAX + 1)]
    for _ in chain:
        many = peer.register("loop", json.dumps(V1), chain)
    (tmp_path / "a.toml").write_text(MAPPING.partition("[avro.ids]")[0].replace('"good"', '"good.value"'))
    mapped = load(tmp_path / "a.toml")
    amounts = {"good": {"unit": "PCE", "value": 2.0}, "rest": {"unit": "KGM", "value": 9.0}}
    whole = {**event, "fields": [{**f, "type": amount} if f["name"] == "good" else f for f in event["fields"]]}
    whole = json.loads(json.dumps(whole).replace('"type": "Unit"', f'"type": {json.dumps(unit)}', 1))
    batch = [message(number, whole, 1, **amounts), message(lost, whole, 2, **amounts), message(many, V1, 3)]
    read = reader(SchemaRegistry(section(peer.url), "main"), mapped, [batch])
    read.seek(None, {})
    done = outcome(mapped, [polled(read)])
    assert done[0] == ("", 1, 2000)
    assert "registry main has none" in done[1][1]
    assert "refers to more than 64 schemas" in done[2][1]


JSON = st.recursive(
    st.none() | st.integers() | st.sampled_from(["int", "string", "a.T", "T", "b.U", "record", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "name", "namespace", "fields", "items", "values", "symbols", "size"]), inner
        )
    ),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(JSON, st.dictionaries(st.sampled_from(["a.T", "T", "b.U", "int"]), JSON, max_size=3))
def test_whatever_schemas_say_putting_them_together_ends_in_one_or_in_a_refusal(schema, types):
    try:
        text = json.dumps(inlined(schema, types))
        writer_schema(text)
    except ValueError:
        return
    assert len(text) < 10_000


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_what_a_record_becomes_does_not_depend_on_its_company(mapping, data):
    """Indifference (law 4): a batch cut in any way, with ids known, unknown and none, is the same."""
    kinds = (
        lambda n: message(1, V1, n),
        lambda n: message(2, V2, n),
        lambda n: message(77, V1, n),
        lambda n: message(2, V1, n)[:-3],
        lambda n: b"\0\0\0" + bytes([n % 7]),
        lambda _: b"",
    )
    values = [data.draw(st.sampled_from(kinds))(n) for n in range(data.draw(st.integers(1, 12)))]
    cuts = sorted(data.draw(st.sets(st.integers(1, len(values)))))
    batches = [values[a:b] for a, b in zip([0, *cuts], [*cuts, len(values)], strict=True) if a < b]

    class Registry:
        """Answers at once, without a network."""

        section = section("http://127.0.0.1")

        def ask(self, ids):
            asked = with_schemas.Asked(ids)
            texts = {1: json.dumps(V1), 2: json.dumps(V2)}
            asked.texts = {number: texts[number] for number in ids if number in texts}
            asked.refused = {number: "registry main has none" for number in ids if number not in texts}
            asked.done.set()
            return asked

    found = []
    for cut in ([values], batches, [[value] for value in values]):
        read = reader(Registry(), mapping, cut)
        read.seek(None, {})
        found.append(outcome(mapping, [polled(read) for _ in cut]))
    assert found[0] == found[1] == found[2]


def test_tls_and_credentials_reach_the_registry(tmp_path, mapping):
    certificate = self_signed(tmp_path)
    peer = schema_registry.SchemaRegistry(user="u", password="geheim", certificate=certificate)
    peer.register("a", json.dumps(V1))
    (tmp_path / "word").write_text("geheim\n")
    reached = {"url": peer.url, "user": "u", "ca_file": "cert.pem"}
    context = {"folder": tmp_path, ENVIRONMENT: {"WORD": "geheim"}}
    check = TypeAdapter(RegistrySection)
    for password in ({"env": "WORD"}, {"file": "word"}):
        found = check.validate_python({**reached, "password": password}, context=context)
        assert "geheim" not in repr(found)
        read = reader(SchemaRegistry(found, "main"), mapping, [[message(1, V1, 1)]])
        read.seek(None, {})
        assert outcome(mapping, [polled(read)]) == {0: ("", 1, 1000)}
    for wrong, told in (({"user": "x", "password": {"env": "WORD"}}, "401"), ({"ca_file": None}, "SSLError")):
        asks = check.validate_python({**reached, "password": {"env": "WORD"}, **wrong}, context=context)
        read = reader(SchemaRegistry(asks, "main"), mapping, [[message(1, V1, 1)]])
        read.seek(None, {})
        with pytest.raises(PlantsyncError, match=told):
            polled(read)
    peer.close()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('url = "https://r"\nuser = "u"\npassword = "geheim"', "password stands in the settings"),
        ('url = "https://r"\ntoken = "geheim"', "token stands in the settings"),
        ('url = "http://r"\ntoken = { env = "WORD" }', "credentials would travel in the clear"),
        ('url = "https://r"\nuser = "u"', "user and password belong together"),
        ('url = "https://u:geheim@r"', "credentials stand in the url"),
        ('url = "ftp://r"', "is no address of a registry"),
        ('url = "https://r"\nkey_file = "k"', "key_file without cert_file"),
        ("", "names the schema registry main, which is not there (add [schema_registries.main])"),
    ],
)
def test_settings_that_cannot_be_used_are_told(tmp_path, monkeypatch, text, told):
    monkeypatch.setenv("WORD", "geheim")
    monkeypatch.delenv("PLANTSYNC_KAFKA", raising=False)
    (tmp_path / "own.avsc").write_text(json.dumps(V1))
    (tmp_path / "a.toml").write_text(MAPPING.replace('topics = ["a"]', 'folder = "a"'))
    path = tmp_path / "plantsync.toml"
    path.write_text('landing = "l"\nplants = ["a.toml"]\n' + (f"[schema_registries.main]\n{text}\n" if text else ""))
    said = "\n".join(map(str, settings_file.problems(path)))
    assert told in said
    assert "geheim" not in said


def test_the_page_of_kafka_has_every_key_of_a_registry():
    text = (Path(PAGE).parent / "kafka.md").read_text("utf-8").partition("## Avro and schema registries")[2]
    written = re.findall(r"^\| `[\w.]+` \|.*\|$", text.partition("\n## ")[0], re.MULTILINE)
    assert written == list(_rows(SchemaRegistrySection))


def test_a_registry_that_lets_a_shard_wait_holds_up_no_other_and_is_an_outage(mapping):
    class Silent:
        section = section("http://127.0.0.1", timeout_s=1)

        def ask(self, ids):
            return with_schemas.Asked(ids)

    clock = Clock()
    read = reader(Silent(), mapping, [[message(1, V1, 1)]], clock)
    read.seek(None, {})
    began = time.monotonic()
    assert read.poll() is NO_RECORDS
    assert time.monotonic() - began < 1
    assert read.behind() == 1
    clock.now_us += 2_100_000
    with pytest.raises(SourceUnavailable, match="lets us wait"):
        read.poll()
    assert read.position() == "0"
