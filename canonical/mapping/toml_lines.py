"""Lines of the keys of a TOML document, which tomllib does not report.

Law: for a document tomllib accepts, every key and every array element of its value has a line here.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

Key = tuple[str | int, ...]

_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_SPACE: Final = re.compile(r"[ \t]*")
_SCALAR: Final = re.compile(r"[^,\]}#\n]*")
_STRINGS: Final = (
    re.compile(r'"""(?:[^\\]|\\.)*?"{3,5}', re.DOTALL),
    re.compile(r"'''.*?'{3,5}", re.DOTALL),
    re.compile(r'"(?:[^"\\\n]|\\.)*"'),
    re.compile(r"'[^'\n]*'"),
)


def key_lines(text: str) -> dict[Key, int]:
    """Return the line (from 1) of every dotted key; elements of arrays are numbered from 0.

    Args: text: a document that tomllib accepts; of any other the result means nothing.
    """
    return _Scanner(text).document()


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[Key, int] = {}
        self.tables: Counter[Key] = Counter()  # array of tables -> tables opened so far

    def document(self) -> dict[Key, int]:
        table: Key = ()
        self.skip(_BLANK)
        while self.at < len(self.text):
            start = self.at
            if self.take("[["):
                array = self.under_arrays(self.key())
                table = (*array, self.tables[array])
                self.tables[array] += 1
                self.note_all(table, start)
                self.take("]]")
            elif self.take("["):
                table = self.under_arrays(self.key())
                self.note_all(table, start)
                self.take("]")
            else:
                self.pair(table)
            self.skip(_BLANK)
        return self.lines

    def under_arrays(self, key: Key) -> Key:
        """Return the key with the number of the newest table after each array of tables it passes."""
        path: Key = ()
        for part in key[:-1]:
            path = (*path, part)
            if path in self.tables:
                path = (*path, self.tables[path] - 1)
        return (*path, key[-1])

    def pair(self, table: Key) -> None:
        start = self.at
        path = table
        for part in self.key():
            path = (*path, part)
            self.note(path, start)
        self.take("=")
        self.skip(_SPACE)
        self.value(path)

    def value(self, path: Key) -> None:
        if self.take("{"):
            self.skip(_BLANK)
            while not self.take("}"):
                self.pair(path)
                self.skip(_BLANK)
                self.take(",")
                self.skip(_BLANK)
        elif self.take("["):
            self.skip(_BLANK)
            index = 0
            while not self.take("]"):
                self.note((*path, index), self.at)
                self.value((*path, index))
                index += 1
                self.skip(_BLANK)
                self.take(",")
                self.skip(_BLANK)
        elif not self.string():
            self.skip(_SCALAR)

    def key(self) -> Key:
        parts: list[str] = []
        while True:
            self.skip(_SPACE)
            start = self.at
            if self.string():
                quoted = self.text[start + 1 : self.at - 1]
                parts.append(_unescaped(quoted) if self.text[start] == '"' else quoted)
            else:
                self.skip(_BARE)
                parts.append(self.text[start : self.at])
            self.skip(_SPACE)
            if not self.take("."):
                return tuple(parts)

    def string(self) -> bool:
        return any(self.skip(pattern) for pattern in _STRINGS)

    def note_all(self, path: Key, at: int) -> None:
        for depth in range(1, len(path) + 1):
            self.note(path[:depth], at)

    def note(self, path: Key, at: int) -> None:
        self.lines.setdefault(path, self.text.count("\n", 0, at) + 1)

    def take(self, mark: str) -> bool:
        found = self.text.startswith(mark, self.at)
        self.at += len(mark) if found else 0
        return found

    def skip(self, pattern: re.Pattern[str]) -> bool:
        match = pattern.match(self.text, self.at)
        if match is None:
            return False
        self.at = match.end()
        return True


_ESCAPE: Final = re.compile(r'\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|x([0-9A-Fa-f]{2})|([btnfre"\\]))')
_NAMED: Final = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b", '"': '"', "\\": "\\"}


def _unescaped(quoted: str) -> str:
    def replaced(match: re.Match[str]) -> str:
        code = match[1] or match[2] or match[3]
        return chr(int(code, 16)) if code else _NAMED[match[4]]

    return _ESCAPE.sub(replaced, quoted)
