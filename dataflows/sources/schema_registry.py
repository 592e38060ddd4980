"""A schema registry that speaks Confluent's REST protocol: which Avro schema an id stands for.

Law: an answer is a schema, or the registry's word that there is none; whatever else comes back is an outage, since what
is only not known yet must not be refused. An id stands for one schema for ever.

One thread for each registry asks, so that a registry that lets us wait holds up no reader.
Source: Confluent Schema Registry, REST API, ``GET /schemas/ids/{id}`` and ``GET /subjects/{s}/versions/{v}``.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, Final
from urllib.parse import quote

import orjson
import requests

from canonical.schema_references import inlined
from canonical.writer_schema import writer_schema
from dataflows.collectors.bounded_body import bounded_body
from dataflows.collectors.web_session import web_session
from dataflows.settings.registry import SchemaRegistrySection
from dataflows.sources.errors import AnswerUnusable, SourceUnavailable
from sinks.commit_log import PlantsyncError

REFERENCES_MAX: Final = 64
"""Schemas that one refers to, directly or not; with more it is refused."""

_ACCEPT: Final = "application/vnd.schemaregistry.v1+json, application/json"
_OK: Final = 200
_NOT_FOUND: Final = 404
_NO_SCHEMA: Final = range(40_400, 40_500)
"""Error codes by which a registry says that it knows no such schema, subject or version."""
_BUSY: Final = frozenset({408, 425, 429})
_SERVER_ERROR: Final = 500


class NoSchema(Exception):
    """The registry says that an id has no schema that can be used; the text says why."""


@dataclass(slots=True)
class Asked:
    """Ids that are asked for, and what came of it once ``done`` is set: a text or a reason for each, or an error."""

    ids: Sequence[int]
    texts: dict[int, str] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)
    error: PlantsyncError | None = None
    done: threading.Event = field(default_factory=threading.Event)


class SchemaRegistry:
    """Asks one registry. Args: name: under which the settings have it."""

    def __init__(self, section: SchemaRegistrySection, name: str) -> None:
        self.section, self.name = section, name
        self._jobs: SimpleQueue[Asked] = SimpleQueue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def ask(self, ids: Sequence[int]) -> Asked:
        """Begin to ask for ids; the first that cannot be answered ends it with an error."""
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=f"registry-{self.name}", daemon=True)
                self._thread.start()
        asked = Asked(ids)
        self._jobs.put(asked)
        return asked

    def _run(self) -> None:
        while True:
            asked = self._jobs.get()
            try:
                with closing(self._session()) as session:
                    for number in asked.ids:
                        self._answer(session, number, asked)
            except PlantsyncError as error:
                asked.error = error
            except BaseException as error:  # noqa: BLE001 - whoever waits is to know, and the thread to go on
                asked.error = self._unusable(f"{type(error).__name__}: {error}")
            asked.done.set()

    def _answer(self, session: requests.Session, number: int, asked: Asked) -> None:
        try:
            asked.texts[number] = self._schema(session, number)
        except NoSchema as reason:
            asked.refused[number] = str(reason)

    def _schema(self, session: requests.Session, number: int) -> str:
        """Return the text of a schema, which needs no other. Raises: NoSchema, SourceUnavailable, AnswerUnusable."""
        answer = self._asked(session, f"/schemas/ids/{number}")
        text = self._avro(answer)
        types: dict[str, Any] = {}
        self._gather(session, answer, types)
        try:
            if types:
                text = orjson.dumps(inlined(orjson.loads(text), types)).decode()
            writer_schema(text)
        except ValueError as error:
            raise NoSchema(f"what registry {self.name} has is no Avro schema: {str(error)[:256]}") from error
        if len(text) > self.section.answer_bytes_max:
            raise NoSchema(f"with what it refers to it is longer than {self.section.answer_bytes_max:,} bytes")
        return text

    def _gather(self, session: requests.Session, answer: dict[str, Any], types: dict[str, Any]) -> None:
        """Gather the schemas that one refers to, by the names it has for them."""
        references = answer.get("references") or []
        if not isinstance(references, list):
            raise self._unusable("its references are no list")
        for reference in references:
            match reference:
                case {"name": str(name), "subject": str(subject), "version": int(version)}:
                    pass
                case _:
                    raise self._unusable("a reference without name, subject and version")
            if name in types:
                continue
            if len(types) == REFERENCES_MAX:
                raise NoSchema(f"it refers to more than {REFERENCES_MAX} schemas")
            referred = self._asked(session, f"/subjects/{quote(subject, safe='')}/versions/{version}")
            try:
                types[name] = orjson.loads(self._avro(referred))
            except orjson.JSONDecodeError:
                types[name] = self._avro(referred)  # the bare name of a type
            self._gather(session, referred, types)

    def _avro(self, answer: dict[str, Any]) -> str:
        text, kind = answer.get("schema"), answer.get("schemaType", "AVRO")
        if not isinstance(text, str):
            raise self._unusable("it has no schema")
        if kind != "AVRO":
            raise NoSchema(f"what registry {self.name} has is {str(kind)[:32]}, not Avro")
        return text

    def _asked(self, session: requests.Session, path: str) -> dict[str, Any]:
        """Return an answer. Raises: NoSchema, SourceUnavailable, AnswerUnusable."""
        section = self.section
        try:
            with session.get(
                section.url.rstrip("/") + path, timeout=section.timeout_s, stream=True, allow_redirects=False
            ) as answer:
                status, body = answer.status_code, bounded_body(answer, section.answer_bytes_max)
        except requests.RequestException as error:
            raise SourceUnavailable(
                f"schema_registries.{self.name}: {section.url} does not answer: {type(error).__name__}. "
                "Check the address, the network and, with https, ca_file."
            ) from error
        if status >= _SERVER_ERROR or status in _BUSY:
            raise SourceUnavailable(f"schema_registries.{self.name}: {section.url} answers {status}. Ask who runs it.")
        too_long = len(body) > section.answer_bytes_max
        if too_long and status == _OK:
            raise NoSchema(f"the answer of registry {self.name} is longer than {section.answer_bytes_max:,} bytes")
        content = _object(b"" if too_long else body)
        if status == _NOT_FOUND and content.get("error_code") in _NO_SCHEMA:
            raise NoSchema(f"registry {self.name} has none")
        if status != _OK:
            raise self._unusable(f"it is {status}; check address, credentials and rights")
        if not content:
            raise self._unusable("it is no JSON object")
        return content

    def _session(self) -> requests.Session:
        section = self.section
        session = web_session(_ACCEPT, section.ca_file, section.token, section.user, section.password)
        if section.cert_file is not None:
            key = section.key_file
            session.cert = str(section.cert_file) if key is None else (str(section.cert_file), str(key))
        return session

    def _unusable(self, reason: str) -> AnswerUnusable:
        return AnswerUnusable(
            f"schema_registries.{self.name}: the answer of {self.section.url} cannot be used: {reason}."
        )


def _object(body: bytes) -> dict[str, Any]:
    """Return the object that a body is; an empty one where it is none."""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return content if isinstance(content, dict) else {}
