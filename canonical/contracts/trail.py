"""The audit trail: what was decided, by whom and why, chained by hash (M35).

Law: within a chain the entries are numbered 0, 1, 2 ... and each names the hash of the one before,
so an entry that is altered, taken out, put in or moved does not fit the rest.

The hash of an entry is SHA-256, in hexadecimal, over the entry as JSON in the form of RFC 8785:
an object of all its fields but ``hash``, names sorted, no white space, UTF-8. All values are text
or integers below 2**53, so any JSON library with sorted keys gives these bytes.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Annotated

import orjson
from pydantic import BaseModel, ConfigDict, Field

from canonical.contracts.event import Text

Digest = Annotated[str, Field(max_length=64)]
"""SHA-256 in hexadecimal; empty where there is nothing to take it of."""

Exact = Annotated[int, Field(ge=0, le=2**53)]
"""An integer that every JSON reader keeps."""


DETAIL_MAX = 262_144
"""Characters of an entry's particulars."""


class TrailAction(StrEnum):
    """What was done; a word is never renamed or reused."""

    MAPPING_CHANGED = "mapping-changed"  # a shard began to work under another mapping
    MAPPING_ROLLED_BACK = "mapping-rollback"  # a mapping file became an earlier version of itself
    REPLAY = "replay"  # records were put back where they came from
    RELEASE = "release"  # what waited under an exception was let through
    REPROCESS = "reprocess"  # it was tried again
    DISCARD = "discard"  # it is not to be posted
    REVERSE = "reverse"  # the document of a posting is to be taken back


class TrailEntry(BaseModel):
    """One entry of a chain."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    chain: str = Field(min_length=1, max_length=4_224, description="The shard whose history it is, or operator.")
    number: Exact = Field(description="Place in the chain, from 0 without holes.")
    at_us: Exact = Field(description="When it was done, UTC, in microseconds since 1970-01-01.")
    actor: Text = Field(description="Who did it: a person at a computer, or a flow.")
    action: TrailAction = Field(description="What was done.")
    subject: Text = Field(description="To what: the plant, or the id of the replay.")
    reason: str = Field(max_length=1024, description="Why, in the words of who did it.")
    before: Digest = Field("", description="SHA-256 of what was in force before; empty where nothing was.")
    after: Digest = Field("", description="SHA-256 of what is in force now, or of what was sent.")
    detail: str = Field("", max_length=DETAIL_MAX, description="Particulars; JSON where there are several.")
    version: Text = Field(description="Version of plantsync that wrote it.")
    previous: Digest = Field("", description="Hash of the entry before; empty in the first.")
    hash: Digest = Field(description="SHA-256 of all other fields, as canonical/contracts/trail.py says.")


def trail_hash(entry: TrailEntry) -> str:
    """Return the hash that the other fields of an entry amount to."""
    content = entry.model_dump(mode="json", exclude={"hash"})
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()
