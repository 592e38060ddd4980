"""Regular expressions of mappings: RE2's, which take linear time, whatever the text.

Law: of a text in which the pattern is found, leftmost first, its group is taken, or what it found where it has none.
Source: https://github.com/google/re2/wiki/Syntax
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc


def found(texts: pa.StringArray, pattern: str) -> pa.BooleanArray:
    """Return in which texts the pattern is found; null for null."""
    return pc.match_substring_regex(texts, f"(?s){pattern}")


def extracted(texts: pa.StringArray, pattern: str) -> pa.StringArray:
    """Return what the pattern takes of each text; null where it is not found."""
    taken = _replaced(texts, pattern, _groups(pattern) + 1)
    return pc.if_else(found(texts, pattern), taken, pa.scalar(None, pa.string()))


def pattern_problem(pattern: str) -> tuple[str, str] | None:
    """Return what is wrong with a pattern and what to do; None if it can be used."""
    try:
        found(_ONE_TEXT, pattern)
    except pa.ArrowInvalid as error:
        return (
            f"not a regular expression: {str(error).partition(': ')[2].partition(': (?s)')[0]}",
            "RE2's syntax counts",
        )
    if _groups(pattern) > 1:
        return "a pattern has one group, or none", "write (?:...) for the others"
    return None


_ONE_TEXT = pa.array([""])


def _groups(pattern: str) -> int:
    """Return how many groups a pattern has: 0, 1, or 2 for more."""
    for groups in (0, 1):
        try:
            _replaced(_ONE_TEXT, pattern, groups + 2)
        except pa.ArrowInvalid:
            return groups
    return 2


def _replaced(texts: pa.StringArray, pattern: str, group: int) -> pa.StringArray:
    return pc.replace_substring_regex(texts, pattern=f"(?s)^.*?({pattern}).*$", replacement=f"\\{group}")
