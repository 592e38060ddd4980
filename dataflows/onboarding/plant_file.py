"""A proposal as a mapping file: TOML with comments that say why, and what is unsure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final

from dataflows.onboarding.noted import Noted
from dataflows.onboarding.proposal import Proposal

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_LINE_MAX: Final = 100
_INTRODUCED: Final = {
    "fields": "Canonical field = column or path of the record.",
    "types": "The plant's word = what it means. A record whose word is missing here is a fault.",
    "units": "The plant's spelling = UN/ECE Recommendation 20 code.",
    "keys.work_center": "The plant's work centre = that of the ERP; those that are the same need no line.",
    "keys.reason": "The plant's reason = that of the ERP; those that are the same need no line.",
}
_SHIFTS: Final = """
# Without shifts a confirmation is posted on the day it was made, midnight to midnight. Such as:
# [[shifts]]
# name = "early"
# start = "06:00"
# end = "14:00"
"""


def written(proposal: Proposal, sample_name: str) -> str:
    """Return the text of the mapping file."""
    lines = [
        f"# Proposed from {_comment(sample_name)}. What is marked as unsure needs a person who knows the plant.",
        "# Check it: plantsync plant check THIS_FILE --sample THE_SAMPLE",
        *(f"# {_comment(remark)}" for remark in proposal.remarks),
        "",
    ]
    for key, noted in proposal.top.items():
        lines += _pair(key, noted)
    for name, section in proposal.sections.items():
        # A table that has nothing but open lines is itself only a comment.
        is_open = bool(section) and all(noted.is_open for noted in section.values())
        lines += [
            "",
            *([f"# {_INTRODUCED[name]}"] if name in _INTRODUCED else []),
            f"{'# ' if is_open else ''}[{name}]",
        ]
        for key, noted in section.items():
            lines += _pair(key, noted)
    return "\n".join(lines) + "\n" + _SHIFTS


def renamed(template: str, plant: str) -> str:
    """Return a shipped mapping for another plant: its key, title, collector, folder and topics are that plant's."""
    key = plant.lower()
    text = re.sub(r'(?m)^plant = ".*"$', lambda _: f"plant = {toml_value(plant)}", template, count=1)
    text = re.sub(r'(?m)^title = ".*"$', lambda _: f"title = {toml_value(f'Plant {plant}')}", text, count=1)
    text = re.sub(r'(?m)^folder = ".*"$', lambda _: f"folder = {toml_value(f'plant-{key}')}", text, count=1)
    text = re.sub(r'(?m)^collected = \["plant-\w+"\]', lambda _: f'collected = ["plant-{key}"]', text, count=1)
    return re.sub(r'(?m)^topics = \["plant-\w+\.', lambda _: f'topics = ["plant-{key}.', text, count=1)


def toml_value(value: object) -> str:
    """Return a value as TOML writes it: text, number, truth value, list, or table on one line."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case dict():
            return "{ " + ", ".join(f"{_key(key)} = {toml_value(each)}" for key, each in value.items()) + " }"
        case list():
            flat = "[" + ", ".join(map(toml_value, value)) + "]"
            if len(flat) <= _LINE_MAX:
                return flat
            return "[\n" + "".join(f"  {toml_value(each)},\n" for each in value) + "]"
    raise AssertionError(f"a mapping holds no {type(value).__name__}")


def _pair(key: str, noted: Noted) -> Iterator[str]:
    text = f"{_key(key)} = {toml_value(noted.value)}"
    why = _comment(f"unsure: {noted.why}" if noted.is_unsure else noted.why)
    if noted.is_open:
        text = f"# {text}"
    if not why:
        yield text
    elif len(text) + len(why) + 4 <= _LINE_MAX and "\n" not in text:
        yield f"{text}  # {why}"
    else:
        yield f"# {why}"
        yield text


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else toml_value(key)


def _comment(text: str) -> str:
    """Return a text as it may stand in a comment: on one line, without control characters."""
    return "".join(c if c >= " " and c != "\x7f" else " " for c in text)
