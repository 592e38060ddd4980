"""Owners: which system may tell of which kind of thing (M43)."""

from __future__ import annotations

from collections.abc import Mapping

from canonical.contracts import ExceptionCode
from dataflows.processors.posting.failure import Failure


def not_owned(owners: Mapping[str, tuple[str, ...]], kind: str, system: str) -> Failure | None:
    """Return why a system may not tell of a kind of record or event; a kind that is not named is anybody's."""
    own = owners.get(kind)
    if own is None or system in own:
        return None
    return Failure(
        ExceptionCode.NOT_OWNER,
        (("item", f"{kind} from {system}"),),
        f"{system} told of a {kind}, which only {', '.join(own)} may",
        "name it in postings.owners, or have it stop",
    )
