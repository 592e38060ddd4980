"""What plants call things: names and words compared with a dictionary that is data, ``words.toml``."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

from canonical.contracts.event import EventType
from canonical.units import code_of

_UMLAUTS: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_INSIDE_MIN: Final = 4
"""Letters of a word that may be found inside a longer one, as maschine in maschinennummer."""

EXACT: Final = 1.0
PART: Final = 0.8
WEAK: Final = 0.6
INSIDE: Final = 0.5


@dataclass(frozen=True, slots=True)
class Likeness:
    """How well a name fits a canonical field, from 0 to 1, and the word of the dictionary that it fits."""

    score: float
    word: str = ""


def plain(name: str) -> str:
    """Return a name in small letters, without accents, its words separated by single spaces."""
    spaced = _CAMEL.sub(" ", unicodedata.normalize("NFC", name)).lower().translate(_UMLAUTS)
    bare = "".join(c for c in unicodedata.normalize("NFD", spaced) if not unicodedata.combining(c))
    return " ".join(re.findall(r"[a-z0-9]+", bare))


def likeness(name: str, field: str) -> Likeness:
    """Return how well a column or path fits a canonical field by its name; the last step of a path says most."""
    entry = _dictionary()["fields"].get(field, {})
    whole = plain(name)
    last = plain(name.rsplit(".", 1)[-1])
    best = Likeness(0.0)
    for words, most in ((entry.get("words", ()), EXACT), (entry.get("weak", ()), WEAK)):
        for word in words:
            score = max(most * _alike(last, word), 0.95 * most * _alike(whole, word))
            if score > best.score:
                best = Likeness(score, word)
    return best


def counts_on(name: str) -> bool:
    """Return whether a name says that its number is the reading of a counter that goes on."""
    return any(_alike(plain(name), word) >= PART for word in _dictionary()["counters"]["words"]) or any(
        word in plain(name) for word in _dictionary()["counters"]["words"] if len(word) > _INSIDE_MIN
    )


def event_type(word: str) -> EventType | None:
    """Return what a plant's word for what happened means; None where nobody says."""
    spoken = plain(word)
    for least in (EXACT, PART):
        for name, words in _dictionary()["types"].items():
            if any(_alike(spoken, each) >= least for each in words):
                return EventType(name)
    return None


def unit_code(word: str) -> str | None:
    """Return the UN/ECE Recommendation 20 code of a plant's spelling of a unit; None where nobody says."""
    found = code_of(word)
    if found is not None:
        return found
    spoken = plain(word)
    return next((code for code, words in _dictionary()["units"].items() if spoken in words), None)


def scale(name: str, scales: Iterable[str]) -> str | None:
    """Return which of these scales (``min``, ``kWh``, ...) a name tells; the last of its words says most."""
    allowed = set(scales)
    for word in reversed(plain(name).split()):
        for unit, words in _dictionary()["scales"].items():
            if unit in allowed and word in words:
                return str(unit)
    return None


def zone(names: Iterable[str]) -> str | None:
    """Return the time zone that the language of these names suggests; None where it suggests none."""
    spoken = {word for name in names for word in plain(name).split()}
    counts = {zone: len(spoken & set(words)) for zone, words in _dictionary()["zones"].items()}
    best = max(counts, key=lambda each: counts[each])
    return best if counts[best] else None


def _alike(name: str, word: str) -> float:
    """Return how well a plain name fits a word: the same, having it among its words, or inside of one."""
    if name == word or name.replace(" ", "") == word.replace(" ", ""):
        return EXACT
    if f" {word} " in f" {name} ":
        # Of a long name a short word says less.
        return PART + 0.15 * len(word) / len(name)
    inside = len(word) >= _INSIDE_MIN and any(word in part for part in name.split())
    return INSIDE + 0.2 * len(word) / len(name) if inside else 0.0


@cache
def _dictionary() -> dict[str, Any]:
    return tomllib.loads((files(__package__) / "words.toml").read_text("utf-8"))
