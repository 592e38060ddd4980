"""XML from plants, read by expat so that no document can do harm.

Laws: bytes become one tree of elements or one refusal, and nothing else: no entity is defined or
fetched, since a document type declaration is refused where it begins, before anything in it is read; memory and
time are bounded by ``Bounds``, whatever the bytes. No instruction or comment has an effect.

Nothing is added for this: expat is Python's own, and what the well-known hardenings forbid (document types, and with
them entities and external files) is refused by the one handler below.

Source: XML 1.0, fifth edition; Namespaces in XML 1.0; the attacks listed by Python's documentation of ``xml``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

from canonical.b2mml.refusal import Refusal, shown
from canonical.contracts.fault import FaultCode

ENCODINGS: Final = ("utf-8", "utf-16", "us-ascii", "iso-8859-1", "windows-1252")
"""Encodings a document may declare, in any case; without a declaration it is UTF-8, or UTF-16 with its mark."""

_CHUNK_BYTES: Final = 1 << 14
"""A refusal in a handler ends the reading with the chunk in which it was made."""
_SEPARATOR: Final = "\n"
"""Between namespace and name: no name holds a line end."""
_ENDS_EARLY: Final = frozenset(
    (
        expat.errors.codes[expat.errors.XML_ERROR_NO_ELEMENTS],
        expat.errors.codes[expat.errors.XML_ERROR_UNCLOSED_TOKEN],
        expat.errors.codes[expat.errors.XML_ERROR_PARTIAL_CHAR],
        expat.errors.codes[expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION],
    )
)
_INVALID_TOKEN: Final = expat.errors.codes[expat.errors.XML_ERROR_INVALID_TOKEN]
_ENCODING: Final = frozenset(
    (
        expat.errors.codes[expat.errors.XML_ERROR_UNKNOWN_ENCODING],
        expat.errors.codes[expat.errors.XML_ERROR_INCORRECT_ENCODING],
    )
)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a document may be before it is refused."""

    document_bytes_max: int = 8 << 20
    depth_max: int = 64
    elements_max: int = 100_000
    text_chars_max: int = 65_536


@dataclass(slots=True)
class Element:
    """An element of the document's namespace; ``text`` is its own, without the blanks around it."""

    name: str
    line: int
    attributes: Mapping[str, str] = field(default_factory=dict)
    children: list[Element] = field(default_factory=list)
    text: str = ""

    def all(self, *names: str) -> Iterator[Element]:
        """Yield the children of these names, in the order of the document."""
        return (child for child in self.children if child.name in names)

    def first(self, *names: str) -> Element | None:
        """Return the child of the first of these names that there is one of."""
        return next((child for name in names for child in self.children if child.name == name), None)

    def value(self, *names: str) -> str:
        """Return the text of the child of the first of these names that has any; empty where none has."""
        return next((child.text for name in names for child in self.children if child.name == name and child.text), "")


def read_element(data: bytes, bounds: Bounds) -> tuple[str, Element]:
    """Return the namespace of the root, and the root with those of its descendants that are of the same namespace.

    Elements of other namespaces are extensions, and left out with all they hold.

    Raises: Refusal with OVERSIZE, NOT_UTF8 (not text in the declared encoding, or in one that is not read),
    TRUNCATED, MALFORMED (not XML; a document type), DEEP_NESTING, TEXT_TOO_LONG.
    """
    if len(data) > bounds.document_bytes_max:
        raise Refusal(FaultCode.OVERSIZE, f"{len(data)} bytes; a document may have {bounds.document_bytes_max}")
    tree = _Tree(bounds)
    parser = expat.ParserCreate(namespace_separator=_SEPARATOR)
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _no_document_type
    parser.XmlDeclHandler = _declared
    parser.StartElementHandler = lambda name, attributes: tree.start(name, attributes, parser.CurrentLineNumber)
    parser.EndElementHandler = tree.end
    parser.CharacterDataHandler = tree.text
    try:
        for at in range(0, len(data), _CHUNK_BYTES):
            parser.Parse(data[at : at + _CHUNK_BYTES], False)  # noqa: FBT003, expat's own signature
        parser.Parse(b"", True)  # noqa: FBT003
    except expat.ExpatError as error:
        raise _refusal(error, data) from error
    assert tree.root is not None, "expat accepts no document without an element"
    return tree.namespace, tree.root


class _Tree:
    """The elements read so far."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.namespace = ""
        self.root: Element | None = None
        self._open: list[Element] = []
        self._texts: list[list[str]] = []
        self._chars: list[int] = []
        self._foreign = 0  # How deep the parser is in an extension.
        self._count = 0

    def start(self, name: str, attributes: dict[str, str], line: int) -> None:
        namespace, _, local = name.rpartition(_SEPARATOR)
        self._count += 1
        if self._count > self.bounds.elements_max:
            raise Refusal(FaultCode.OVERSIZE, f"line {line}: more than {self.bounds.elements_max} elements")
        if len(self._open) + self._foreign >= self.bounds.depth_max:
            raise Refusal(FaultCode.DEEP_NESTING, f"line {line}: more than {self.bounds.depth_max} elements deep")
        if self.root is None:
            self.namespace = namespace
        if self._foreign or namespace != self.namespace:
            self._foreign += 1
            return
        element = Element(local, line, attributes)
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)
        self._texts.append([])
        self._chars.append(0)

    def end(self, _: str) -> None:
        if self._foreign:
            self._foreign -= 1
            return
        self._open.pop().text = "".join(self._texts.pop()).strip()
        self._chars.pop()

    def text(self, text: str) -> None:
        if self._foreign:
            return
        self._chars[-1] += len(text)
        if self._chars[-1] > self.bounds.text_chars_max:
            element = self._open[-1]
            raise Refusal(
                FaultCode.TEXT_TOO_LONG,
                f"line {element.line}: {shown(element.name)} has more than {self.bounds.text_chars_max} characters",
            )
        self._texts[-1].append(text)


def _no_document_type(name: str, *_: object) -> None:
    raise Refusal(FaultCode.MALFORMED, f"a document type ({shown(name)}) is declared; documents of B2MML have none")


def _declared(_: str, encoding: str | None, __: int) -> None:
    if encoding is not None and encoding.lower() not in ENCODINGS:
        raise Refusal(FaultCode.NOT_UTF8, f"the encoding {shown(encoding)} is not read; {', '.join(ENCODINGS)} are")


def _refusal(error: expat.ExpatError, data: bytes) -> Refusal:
    detail = f"line {error.lineno}, column {error.offset}: {expat.ErrorString(error.code)}"
    if error.code in _ENDS_EARLY:
        return Refusal(FaultCode.TRUNCATED, detail)
    if error.code in _ENCODING or (error.code == _INVALID_TOKEN and not _is_text(data)):
        return Refusal(FaultCode.NOT_UTF8, detail)
    return Refusal(FaultCode.MALFORMED, detail)


def _is_text(data: bytes) -> bool:
    """Return whether bytes that expat could not read are at least text, so that the fault is their form."""
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8"
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
