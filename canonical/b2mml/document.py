"""A B2MML document: what it is about, what is to be done with that, and who says so when.

A document is a transaction, as ``SyncProductionSchedule`` with an ApplicationArea and a DataArea, or the bare noun.
Releases differ in names more than in structure; each reader takes all names, since no release gives one of them
another meaning.

Source: B2MML V0401, V0500, V0600, V0700 (MESA International), Common and the schemas of the nouns.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from canonical.b2mml.element import Bounds, Element, read_element
from canonical.b2mml.refusal import Refusal, shown
from canonical.contracts.fault import FaultCode

NAMESPACES: Final = {
    "http://www.wbf.org/xml/B2MML-V0401": "V0401",
    "http://www.wbf.org/xml/B2MML-V05": "V0500",
    "http://www.mesa.org/xml/B2MML-V0600": "V0600",
    "http://www.mesa.org/xml/B2MML": "V0700",
}
"""The release whose documents are in each namespace."""

NOUNS: Final = (
    "ProductionSchedule",
    "OperationsSchedule",
    "ProductionPerformance",
    "OperationsPerformance",
    "MaterialInformation",
    "MaterialDefinition",
    "MaterialLot",
    "MaterialSubLot",
)
SAYING: Final = ("", "Sync", "Process", "Change", "Show", "Respond", "Cancel")
"""Verbs whose documents say something; Get asks, Acknowledge repeats what was said."""

_NAME: Final = re.compile(rf"(Get|Show|Process|Acknowledge|Change|Respond|Cancel|Sync|)({'|'.join(NOUNS)})")


@dataclass(frozen=True, slots=True)
class Document:
    """What one document holds.

    ``created`` is its own time, as written; ``withdrawn`` is true where it takes back what it names.
    """

    release: str
    verb: str
    noun: str
    created: str
    sender: str
    message: str
    withdrawn: bool
    items: tuple[Element, ...]

    @property
    def says(self) -> bool:
        """Whether it tells anything; a question and an acknowledgement do not."""
        return self.verb in SAYING


def read_document(data: bytes) -> Document:
    """Return the document that the bytes are.

    Raises: Refusal, as ``read_element``, with UNKNOWN_SCHEMA (another namespace), UNKNOWN_TYPE (no noun that is
    read) and MISSING_FIELD (no ApplicationArea or DataArea).
    """
    namespace, root = read_element(data, Bounds())
    release = NAMESPACES.get(namespace)
    if release is None:
        raise Refusal(
            FaultCode.UNKNOWN_SCHEMA, f"the namespace {shown(namespace)} is none of {', '.join(NAMESPACES.values())}"
        )
    name = _NAME.fullmatch(root.name)
    if name is None:
        raise Refusal(FaultCode.UNKNOWN_TYPE, f"{shown(root.name)} is not read; {', '.join(NOUNS)} are")
    verb, noun = name.groups()
    data_area, area = root.first("DataArea"), root.first("ApplicationArea")
    if data_area is None and not verb:
        return Document(release, "", noun, root.value("PublishedDate"), "", "", withdrawn=False, items=(root,))
    for part, found in (("ApplicationArea", area), ("DataArea", data_area)):
        if found is None:
            raise Refusal(FaultCode.MISSING_FIELD, f"{root.name} has no {part}")
    assert area is not None, "said above"
    assert data_area is not None, "said above"
    sender = area.first("Sender")
    return Document(
        release,
        verb,
        noun,
        area.value("CreationDateTime"),
        "" if sender is None else sender.value("LogicalID"),
        area.value("BODID"),
        withdrawn=verb == "Cancel" or _deletes(data_area),
        items=tuple(data_area.all(noun)),
    )


def _deletes(data_area: Element) -> bool:
    return any(
        expression.attributes.get("actionCode") == "Delete"
        for verb in data_area.all("Sync", "Process", "Change")
        for criteria in verb.all("ActionCriteria")
        for expression in criteria.all("ActionExpression")
    )
