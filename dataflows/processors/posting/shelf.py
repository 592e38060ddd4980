"""A shelf: values by key, each with the instant at which it is due, and what of them has changed.

Laws: ``load`` of all that ``parts`` returned over time, later ones in place of earlier ones, gives the same shelf.
A value becomes due in the order of its instants, and of its keys where those are equal.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Generic, TypeVar

import orjson

from dataflows.processors.state import StateVersionUnknown

Key = tuple[str, ...]
Value = TypeVar("Value")

_SLACK: Final = 64
"""Instants that have been put off may stay in the heap, as many as there are values and so many more."""


class Shelf(Generic[Value]):
    """Values by key. State: O(values).

    Args: prefix: begins the name of each part. version: of the values' form. encode: a value as JSON has it.
        decode: takes the version and what ``encode`` returned; it knows every version up to the newest.
        due_us: when a value is due, None for never.
    """

    def __init__(
        self,
        prefix: str,
        version: int,
        encode: Callable[[Value], Any],
        decode: Callable[[int, Any], Value],
        due_us: Callable[[Value], int | None],
    ) -> None:
        self._prefix, self._version = prefix, version
        self._encode, self._decode, self._due_of = encode, decode, due_us
        self._values: dict[Key, Value] = {}
        self._due: dict[Key, int] = {}
        self._heap: list[tuple[int, Key]] = []
        self._changed: set[Key] = set()

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[Key]:
        return iter(self._values)

    def get(self, key: Key) -> Value | None:
        """Return a value; who changes it puts it back."""
        return self._values.get(key)

    def put(self, key: Key, value: Value) -> None:
        """Keep a value, new or changed."""
        self._values[key] = value
        self._changed.add(key)
        self._schedule(key, value)

    def remove(self, key: Key) -> Value:
        """Let go of a value."""
        self._due.pop(key, None)
        self._changed.add(key)
        return self._values.pop(key)

    def first(self) -> tuple[int, Key] | None:
        """Return the instant and the key of what is due first."""
        while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0] if self._heap else None

    def parts(self) -> dict[str, bytes]:
        """Return the parts that changed since the last call; an empty one is gone."""
        parts = {
            self._name(key): orjson.dumps([self._version, self._encode(self._values[key])])
            if key in self._values
            else b""
            for key in sorted(self._changed)
        }
        self._changed.clear()
        return parts

    def load(self, parts: Mapping[str, bytes]) -> None:
        """Take up parts; those of others, and empty ones, are passed over. Raises: StateVersionUnknown."""
        for name, part in parts.items():
            if part and name.startswith(self._prefix):
                version, encoded = orjson.loads(part)
                if not 1 <= version <= self._version:
                    raise StateVersionUnknown(
                        f"{name} has version {version}, this release knows 1 to {self._version}: run the release "
                        "that wrote it, or a later one"
                    )
                key = tuple(orjson.loads(name.removeprefix(self._prefix)))
                value = self._values[key] = self._decode(version, encoded)
                self._schedule(key, value)

    def _name(self, key: Key) -> str:
        return self._prefix + orjson.dumps(key).decode()

    def _schedule(self, key: Key, value: Value) -> None:
        due_us = self._due_of(value)
        if due_us is None:
            self._due.pop(key, None)
        elif self._due.get(key) != due_us:
            self._due[key] = due_us
            heapq.heappush(self._heap, (due_us, key))
            if len(self._heap) > 2 * len(self._due) + _SLACK:
                self._heap = [(at_us, each) for each, at_us in self._due.items()]
                heapq.heapify(self._heap)
