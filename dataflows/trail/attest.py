"""Attest: a shard that begins to work under another mapping says so in the audit trail (M35).

Law: the entry is committed with the first results made under the new mapping, in one transaction,
so every record of a shard was made under the mapping that its chain had named last.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from canonical.contracts import TrailAction
from canonical.contracts.trail import DETAIL_MAX
from canonical.mapping import PlantMapping
from dataflows.items import Commit, Shard, Work
from sinks.trail import PART, Deed, Head, append

TEXT_MAX: Final = 256
"""Characters of the contract's ``Text``; a title may be longer."""


TEXT: Final = "text"
FILES: Final = "files"
"""In the detail: the mapping's file, and the files that it names."""
KEPT_MAX: Final = DETAIL_MAX // 2
"""Bytes of a mapping, as JSON, that an entry holds; the detail of a rollback quotes one in another object."""


def kept(mapping: PlantMapping) -> dict[str, Any]:
    """Return what an entry keeps of a mapping, so that there is a way back to it; nothing of one that is too large."""
    content = {TEXT: mapping.text, FILES: mapping.companions}
    return content if mapping.text and len(orjson.dumps(content)) <= KEPT_MAX else {}


class Attest:
    """Compares a shard's mapping with the one of its last commit; a stage.

    Args: flow: who acts.
    """

    def __init__(self, shard: Shard, state: Mapping[str, bytes], flow: str) -> None:
        self._chain = shard.name
        self._head = Head.of(state)
        mapping = shard.mapping
        known = self._head is not None
        before = self._head.in_force if self._head is not None else ""
        self._deed: Deed | None = None
        if before != mapping.digest:
            self._deed = Deed(
                TrailAction.MAPPING_CHANGED,
                actor=f"flow {flow}",
                subject=mapping.name[:TEXT_MAX],
                reason="the mapping is another one" if known else "the shard's first mapping",
                before=before,
                after=mapping.digest,
                detail=orjson.dumps(
                    {"title": mapping.title[:TEXT_MAX], "format": mapping.format, **kept(mapping)}
                ).decode(),
            )

    def work(self, work: Work) -> Iterator[Work]:
        """Add the entry to the first results that come by."""
        if self._deed is not None:
            self._head, record = append(self._chain, self._head, self._deed, work.now_us)
            self._deed = None
            work.records.append(record)
        yield work

    def commit(self, commit: Commit) -> Mapping[str, bytes]:  # noqa: ARG002 - it adds nothing
        """Return the head of the chain."""
        return {} if self._head is None else {PART: self._head.encode()}
