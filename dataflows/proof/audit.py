"""The oracle: what was committed, held against what was sent.

``Audit.follow`` goes through the commits in the order in which they became visible and asks at each of
them; ``Audit.close`` asks what must be true when nothing more can come. It looks into no processor.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import orjson

from canonical.contracts.ledger import imbalances
from dataflows.proof.book import Book
from dataflows.proof.laws import Law, hold
from dataflows.proof.stepped_log import Published, Store
from dataflows.proof.twin import Session
from dataflows.proof.workload import Workload
from sinks import dead_letters
from sinks.commit_log import Record
from sinks.streams import CONFIRMATIONS, DEAD_LETTERS, EVENTS, GAPS, LEDGER, RANGES


class Audit:
    """Everything committed, by session, next to everything sent."""

    def __init__(self, workload: Workload) -> None:
        self.workload = workload
        self.books: dict[Session, Book] = {}
        self._ids: set[str] = set()
        self._ranged: set[str] = set()
        self._unread: Counter[str] = Counter()
        self._at = dict.fromkeys(workload.shards, 0)

    def follow(self, store: Store) -> None:
        """Check every commit. Raises: BrokenLaw."""
        for published in store.history:
            self._commit(published)
        seen = Counter(record.stream for published in store.history for record in published.records)
        stored = Counter({stream: store.count(stream) for stream in store.streams()})
        hold(Law.ONCE, seen == stored, f"in the log what its commits wrote, {dict(seen)}", dict(stored))

    def close(self) -> None:
        """Check what must be true in the end. Raises: BrokenLaw."""
        for name, log in self.workload.shards.items():
            hold(Law.PROGRESS, self._at[name] == len(log), f"shard {name} read to {len(log)}", self._at[name])
        for book in self.books.values():
            book.close(self.workload.mapping)

    def counts(self) -> Counter[str]:
        """Return how much of what was rare has been met."""
        found: Counter[str] = Counter()
        for book in self.books.values():
            found.update({
                "gaps declared": len(book.gaps),
                "late records": book.entry.get("late", 0),
                "duplicates": book.entry.get("duplicates", 0),
                "faulty records": book.entry.get("faults", 0),
                "confirmations": len(book.confirmations),
            })  # fmt: skip
        found["faulty records"] += self._unread.total()
        return found

    # -- one commit ------------------------------------------------------------------------------

    def _commit(self, published: Published) -> None:
        shard, before, at = published.shard, self._at[published.shard], published.position
        hold(Law.ONCE, at >= before, f"shard {shard}: no position before {before}", at)
        by_stream: dict[str, list[Record]] = {}
        for record in published.records:
            by_stream.setdefault(record.stream, []).append(record)
        gaps = [self._gap(line) for line in _lines(by_stream.get(GAPS))]
        changed, unreadable = self._read(shard, before, at)
        for book, first, last in gaps:
            hold(Law.ORDER, last + 1 in book.arrived, f"{book}: a gap before a record that waits", f"{first}..{last}")
        self._letters(by_stream.get(DEAD_LETTERS, ()), shard, unreadable)
        for line in _lines(by_stream.get(CONFIRMATIONS)):
            self._once(line["posting_id"])
            self._book(line).confirm(line)
        for line in _lines(by_stream.get(EVENTS)):
            self._book(line).pass_on(line)
        for line in _lines(by_stream.get(RANGES)):
            if line["posting_id"]:
                self._ranged.add(line["posting_id"])
        hold(
            Law.TILING,
            self._ranged == self._ids,
            "a range of the ledger for each confirmation",
            self._ranged ^ self._ids,
        )
        self._ledger(_lines(by_stream.get(LEDGER)), shard, changed)
        self._at[shard] = at

    def _gap(self, line: dict[str, Any]) -> tuple[Book, int, int]:
        """Note a gap before the records of its commit interval: none of its numbers may have arrived before."""
        book = self._opened((line["source"], line["session"]))
        book.declare(line["first_seq"], line["last_seq"])
        return book, line["first_seq"], line["last_seq"]

    def _read(self, shard: str, before: int, at: int) -> tuple[set[Session], list[int]]:
        """Enter the records of the interval; return their sessions, and the offsets of those that cannot be read."""
        changed: set[Session] = set()
        unreadable = []
        for offset, row in enumerate(self.workload.shards[shard].rows[before:at], before):
            if row.session is None:
                unreadable.append(offset)
                continue
            changed.add(row.session)
            self._opened(row.session).arrive(row)
        self._unread[shard] += len(unreadable)
        return changed, unreadable

    def _letters(self, records: Iterable[Record], shard: str, unreadable: list[int]) -> None:
        offsets = []
        for letter in map(dead_letters.parse, records):
            fault = letter.fault
            if letter.stage == "decode":
                offsets.append(fault.offset)
            else:
                self._book({"source": fault.source, "session": fault.session}).set_aside(fault.seq, fault.code)
        hold(
            Law.CONSERVATION,
            sorted(offsets) == unreadable,
            f"shard {shard}: dead letters of the unreadable records at {unreadable}",
            offsets,
        )

    def _once(self, posting_id: str) -> None:
        hold(Law.ONCE, posting_id not in self._ids, "every posting id once", f"{posting_id} again")
        self._ids.add(posting_id)

    def _ledger(self, lines: list[dict[str, Any]], shard: str, changed: set[Session]) -> None:
        told = set()
        for entry in lines:
            if not entry["source"]:
                hold(
                    Law.CONSERVATION,
                    entry["read"] == entry["faults"] == self._unread[shard],
                    f"shard {shard}: {self._unread[shard]} unreadable records in the ledger",
                    f"{entry['read']} read, {entry['faults']} faults",
                )
                continue
            book = self._book(entry)
            told.add(book.session)
            book.entry = entry
            wrong = imbalances(entry)
            hold(Law.CONSERVATION, not wrong, f"{book}: a balanced ledger", "; ".join(wrong))
            book.agree()
        hold(Law.CONSERVATION, changed <= told, f"shard {shard}: an entry of each session read", changed - told)

    def _opened(self, session: Session) -> Book:
        if session not in self.books:
            self.books[session] = Book(session, self.workload.mapping)
        return self.books[session]

    def _book(self, line: dict[str, Any]) -> Book:
        session = (line["source"], line["session"])
        hold(Law.CONSERVATION, session in self.books, "results of sessions that were read", session)
        return self.books[session]


def _lines(records: list[Record] | None) -> list[dict[str, Any]]:
    return [orjson.loads(line) for record in records or () for line in record.value.splitlines()]


def outcome(store: Store) -> dict[str, dict[str, Any]]:
    """Return what was committed by source, without what only says when: to be compared (law 4).

    A record that was held back has no bytes left when it is refused, so of dead letters their fault counts.
    """
    told: dict[str, dict[str, Any]] = {}
    for published in store.history:
        for record in published.records:
            if record.stream == DEAD_LETTERS:
                letter = dead_letters.parse(record)
                told.setdefault(letter.fault.source, {})[f"letter {letter.partition} {letter.fault.offset}"] = (
                    letter.fault
                )
                continue
            if record.stream not in {CONFIRMATIONS, EVENTS, GAPS, LEDGER}:
                continue
            for line in record.value.splitlines():
                value = orjson.loads(line)
                value.pop("committed_us", None)
                value.pop("declared_us", None)
                number = value.get("first_seq", value.get("seq", ""))
                key = value.get("posting_id") or f"{record.stream} {number}"
                told.setdefault(value["source"], {})[f"{value.get('shard', '')} {value['session']} {key}"] = value
    return told
