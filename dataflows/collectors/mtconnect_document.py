"""Answers of an MTConnect agent: observations, or an error, read by expat so that no answer can do harm.

Laws: bytes become one answer or ``NoAnswer``. No entity is defined or fetched, since a document type declaration is
refused where it begins. Nothing is built but the observations, of which there are no more than were asked for, and no
text is repeated in them that is longer than ``NAME_CHARS_MAX``, so memory is bounded by the answer's length. Elements
of vendors' own namespaces are observations like all others.

Source: MTConnect Standard Part 1.0, 2.0 (MTConnectStreams, MTConnectError); ANSI/MTC1.4-2018 and later.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final
from xml.parsers import expat

import orjson

from canonical.contracts.fault import FaultCode

NAME_CHARS_MAX: Final = 256
DEPTH_MAX: Final = 16
ENTRIES_MAX: Final = 10_000
_CHUNK_BYTES: Final = 1 << 14
_SEPARATOR: Final = "\n"
_CATEGORIES: Final = {"Samples": "SAMPLE", "Events": "EVENT", "Condition": "CONDITION"}
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]{0,29})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?")
_WHOLE: Final = re.compile(r"[0-9]{1,18}")


class NoAnswer(ValueError):
    """The bytes are no answer of an agent: why."""

    def __init__(self, words: str, code: FaultCode = FaultCode.MALFORMED) -> None:
        super().__init__(words)
        self.code = code


@dataclass(slots=True)
class Observation:
    """One observation: of which device, its number at the agent, and what is told of it."""

    device: str
    sequence: int
    told: dict[str, Any]


@dataclass(slots=True)
class Answer:
    """What an agent answered. ``errors``: (code, text) where it did not do what it was asked."""

    instance: str = ""
    first: int = 0
    last: int = 0
    next: int = 0
    observations: list[Observation] = field(default_factory=list)
    errors: list[tuple[str, str]] = field(default_factory=list)


def read_answer(data: bytes, observations_max: int) -> Answer:
    """Return what an agent answered, with no more observations than were asked for. Raises: NoAnswer."""
    tree = _Tree(observations_max)
    parser = expat.ParserCreate(namespace_separator=_SEPARATOR)
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _no_document_type
    parser.StartElementHandler = tree.start
    parser.EndElementHandler = tree.end
    parser.CharacterDataHandler = tree.text
    try:
        for at in range(0, len(data), _CHUNK_BYTES):
            parser.Parse(data[at : at + _CHUNK_BYTES], False)  # noqa: FBT003, expat's own signature
        parser.Parse(b"", True)  # noqa: FBT003
    except expat.ExpatError as error:
        raise NoAnswer(f"it is no XML: {error}") from error
    if not tree.answer.instance:
        raise NoAnswer("it has no header with an instanceId")
    return tree.answer


class _Tree:
    """What has been read so far."""

    def __init__(self, observations_max: int) -> None:
        self.answer = Answer()
        self._observations_max = observations_max
        self._open: list[str] = []
        self._place: dict[str, str] = {}  # device and component that what follows is of
        self._category = ""
        self._category_depth = 0
        self._observation: Observation | None = None
        self._observation_depth = 0
        self._text: list[str] = []
        self._entry = ""
        self._cell = ""

    def start(self, qualified: str, attributes: dict[str, str]) -> None:
        name = qualified.rpartition(_SEPARATOR)[2]
        self._open.append(name)
        if len(self._open) > DEPTH_MAX:
            raise NoAnswer(f"it is more than {DEPTH_MAX} elements deep", FaultCode.DEEP_NESTING)
        if not self._open[1:] and name not in {"MTConnectStreams", "MTConnectError"}:
            raise NoAnswer(f"it is {_short(name)!r}, not MTConnectStreams")
        if self._observation is not None:
            self._inner(name, attributes)
        elif self._category:
            self._observe(name, attributes)
        elif name in _CATEGORIES:
            self._category, self._category_depth = _CATEGORIES[name], len(self._open)
        else:
            self._context(name, attributes)

    def end(self, _: str) -> None:
        depth = len(self._open)
        self._open.pop()
        text = "".join(self._text).strip()
        if self._observation is not None and depth == self._observation_depth:
            told = self._observation.told
            if "entries" not in told:
                told["value"] = text
                if _NUMBER.fullmatch(text):
                    told["quantity"] = orjson.Fragment(text)
            self._observation = None
        elif self._observation is not None:
            self._inner_end(text)
        elif self._category and depth == self._category_depth:
            self._category = ""
        elif self.answer.errors and not self.answer.errors[-1][1]:
            self.answer.errors[-1] = (self.answer.errors[-1][0], _short(text))
        self._text.clear()

    def text(self, text: str) -> None:
        if self._observation is not None or self.answer.errors:
            self._text.append(text)

    def _context(self, name: str, attributes: dict[str, str]) -> None:
        """Take the header, an error, or the device or component that what follows is of."""
        if name == "Header":
            self.answer.instance = _name(attributes.get("instanceId", ""))
            if self._open[0] == "MTConnectStreams":
                numbers = (_whole(attributes, key) for key in ("firstSequence", "lastSequence", "nextSequence"))
                self.answer.first, self.answer.last, self.answer.next = numbers
        elif "errorCode" in attributes:
            self.answer.errors.append((_short(attributes["errorCode"]), ""))
            self._text.clear()
        elif name == "DeviceStream":
            self._place = {"device": _name(attributes.get("name", "")), "uuid": _name(attributes.get("uuid", ""))}
        elif name == "ComponentStream":
            self._place = {key: value for key, value in self._place.items() if not key.startswith("component")}
            self._place["component"] = _name(attributes.get("component", ""))
            self._place["componentId"] = _name(attributes.get("componentId", ""))
            if "name" in attributes:
                self._place["componentName"] = _name(attributes["name"])

    def _observe(self, name: str, attributes: dict[str, str]) -> None:
        """Begin an observation. A condition is named by its level, and tells its type."""
        if len(self.answer.observations) >= self._observations_max:
            words = f"it has more than the {self._observations_max:,} observations that were asked for"
            raise NoAnswer(words, FaultCode.FLOODED)
        condition = self._category == "CONDITION"
        own: dict[str, Any] = {**self._place, "category": self._category}
        own |= {"level": name} if condition else {"type": name}
        sequence = _whole(attributes, "sequence")
        attributes.pop("seq", None)  # the collector's own
        told = {**attributes, **own, "sequence": sequence, "instanceId": self.answer.instance}
        device = self._place.get("uuid") or self._place.get("device", "")
        self._observation, self._observation_depth = Observation(device, sequence, told), len(self._open)
        self.answer.observations.append(self._observation)
        self._text.clear()

    def _inner(self, name: str, attributes: dict[str, str]) -> None:
        """Begin an entry of a data set or table, or a cell of it."""
        assert self._observation is not None
        depth = len(self._open) - self._observation_depth
        entries = self._observation.told.setdefault("entries", {})
        key = attributes.get("key", name)
        if depth == 1:
            self._entry = key
            if len(entries) >= ENTRIES_MAX:
                raise NoAnswer(f"an observation has more than {ENTRIES_MAX:,} entries", FaultCode.FLOODED)
        elif depth == 2:
            self._cell = key
            if not isinstance(entries.get(self._entry), dict):
                entries[self._entry] = {}
        self._text.clear()

    def _inner_end(self, text: str) -> None:
        assert self._observation is not None
        depth = len(self._open) + 1 - self._observation_depth
        entries = self._observation.told["entries"]
        if depth == 1 and not isinstance(entries.get(self._entry), dict):
            entries[self._entry] = text
        elif depth == 2:
            entries[self._entry][self._cell] = text


def _no_document_type(*_: object) -> None:
    raise NoAnswer("it declares a document type")


def _name(text: str) -> str:
    if len(text) > NAME_CHARS_MAX:
        words = f"a name is longer than {NAME_CHARS_MAX} characters: {_short(text)!r}"
        raise NoAnswer(words, FaultCode.TEXT_TOO_LONG)
    return text


def _short(text: str) -> str:
    return text[:NAME_CHARS_MAX]


def _whole(attributes: dict[str, str], name: str) -> int:
    text = attributes.get(name, "")
    if not _WHOLE.fullmatch(text):
        raise NoAnswer(f"{name} is {_short(text)!r}, not a number")
    return int(text)
