"""The port of a collector: one connection of a plant, read as records that are not looked into."""

from __future__ import annotations

from typing import Protocol

from dataflows.sources.reader import Reader


class Collector(Reader, Protocol):
    """Reads one connection; it connects at its first poll, not before. One thread calls it, and may be made to wait.

    Law: a record that a peer was told to be safe is in the spool. What ``position`` and ``state`` say is stored
    together with the records polled before, so a peer that can be asked again from a position is asked from there,
    and one that waits for an answer gets it in ``committed`` and not sooner.
    """

    def committed(self, position: str) -> None:
        """Take note that everything polled before this position was taken is durable."""
        ...
