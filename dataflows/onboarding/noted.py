"""A value of a proposed mapping, with what a person should know of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Noted:
    """A value, and the comments that go with it; ``is_open``: it is written as a comment, for a person to decide."""

    value: object
    why: str = ""
    is_unsure: bool = False
    is_open: bool = False


Section = dict[str, Noted]
"""A table of the mapping file: key to value."""
