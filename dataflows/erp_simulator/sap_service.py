"""What the OData services have in common: a table of what can be asked of their resources."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from dataflows.erp_simulator import odata
from dataflows.erp_simulator.document import Document
from dataflows.erp_simulator.erp import Erp
from dataflows.erp_simulator.exchange import Answer, Call
from dataflows.erp_simulator.refusal import Code, Refused


@dataclass(frozen=True, slots=True)
class Target:
    """A resource's path: ``Entity(A='1',B='2')/navigation``; a lone key has the name ''."""

    keys: Mapping[str, str]
    navigation: str

    def key(self, name: str) -> str:
        """Return a key, which may be the only one and without its name."""
        return self.keys.get(name) or self.keys.get("", "")


Routes = Mapping[tuple[str, str], Callable[[Call, Target], Answer]]
"""What works on a method and an entity set or function import."""


class SapService(ABC):
    """One service of an ERP."""

    NAME: ClassVar[str]

    def __init__(self, erp: Erp) -> None:
        """Translate for this ERP."""
        self._erp = erp
        self._routes = self._table()

    @abstractmethod
    def _table(self) -> Routes:
        """Return what can be asked."""

    def answer(self, call: Call, path: str) -> Answer:
        """Work on a request to this service.

        Raises: Refused.
        """
        first, _, rest = path.partition("/")
        name, keys = odata.target(first)
        work = self._routes.get((call.method, name))
        if work is None:
            raise Refused(Code.DOCUMENT_UNKNOWN, document=path[:80])
        return work(call, Target(keys, rest))

    def _document(self, number: str) -> Document:
        """Return a document.

        Raises: Refused.
        """
        book = self._erp.book
        if number not in book.by_number:
            raise Refused(Code.DOCUMENT_UNKNOWN, document=number)
        return book.documents[book.by_number[number]]
