"""ERPs without a bulk interface."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

from canonical.contracts.posting import Posting
from sinks.erp.port import Answer


class OneByOne(ABC):
    """What an adapter of such an ERP has for ``send_many``."""

    @property
    def many_max(self) -> Literal[1]:
        """One posting at once."""
        return 1

    def send_many(self, postings: Sequence[Posting]) -> list[Answer]:
        """Send postings, one after the other."""
        return [self.send(posting) for posting in postings]

    @abstractmethod
    def send(self, posting: Posting) -> Answer:
        """Send a posting once."""
