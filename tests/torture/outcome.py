"""What a flow committed, read back from SQLite or Kafka, and how it differs from what it should be.

Postings, events, gaps and dead letters are compared as wholes, as many times as they are there, and
each source's postings and events in their order; of the ledger the newest entry of each session counts.
Where the flows read the system's clock, what tells the time of processing is left out.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass

from confluent_kafka import Consumer, TopicPartition

from dataflows.analytics import TABLES
from sinks import dead_letters
from sinks.commit_log import Stored
from sinks.sqlite import SqliteStreams
from sinks.streams import CONFIRMATIONS, DEAD_LETTERS, EVENTS, GAPS, LEDGER

STREAMS = tuple(TABLES)
"""Every stream that is read again."""
WHOLE = (CONFIRMATIONS, EVENTS, DEAD_LETTERS, GAPS)
"""Streams whose records do not depend on when it was committed."""
SHOWN = 3
PROCESSING_TIME = ("ingested_us", "declared_us", "committed_us")


@dataclass(frozen=True)
class Outcome:
    """Committed records by stream and partition, in order of offset."""

    parts: dict[tuple[str, int], list[Stored]]

    def stored(self, stream):
        return [record for (name, _), part in sorted(self.parts.items()) if name == stream for record in part]

    def documents(self, stream):
        return [json.loads(record.value) for record in self.stored(stream)]

    def letters(self):
        return [dead_letters.parse(record) for record in self.stored(DEAD_LETTERS)]

    def ledger(self):
        """Newest entry of each session, by shard, plant, source and session."""
        lines = (json.loads(line) for record in self.stored(LEDGER) for line in record.value.splitlines())
        return {tuple(line[name] for name in ("shard", "plant", "source", "session")): line for line in lines}


def of_sqlite(path):
    """Return what a file holds."""
    streams = SqliteStreams(path)
    try:
        return Outcome({(name, 0): streams.read(name, 0, 10_000_000) for name in STREAMS})
    finally:
        streams.close()


def of_kafka(servers, prefix):
    """Return what a reader with ``read_committed`` finds."""
    consumer = Consumer({
        "bootstrap.servers": servers,
        "group.id": "torture",
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
    })  # fmt: skip
    try:
        topics = consumer.list_topics(timeout=30).topics
        wanted = [(name, part) for name in STREAMS for part in getattr(topics.get(prefix + name), "partitions", ())]
        consumer.assign([TopicPartition(prefix + name, part, 0) for name, part in wanted])
        parts, left = defaultdict(list), set(wanted)
        while left:
            for message in consumer.consume(1_000, 0.05):
                place = message.topic().removeprefix(prefix), message.partition()
                if message.error() is None:
                    headers = tuple((name, value) for name, value in message.headers() or ())
                    parts[place].append(Stored(message.offset(), message.key(), message.value(), headers))
                else:
                    left.discard(place)
        return Outcome(dict(parts))
    finally:
        consumer.close()


def differences(expected, found, *, timeless=False):
    """Return how the outcome differs from the expected one, a sentence each; none when it does not.

    Args: timeless: leave out what tells the time of processing.
    """
    problems = doubles(found)
    for stream in WHOLE:
        want, have = _contents(expected, stream, timeless), _contents(found, stream, timeless)
        problems += _told(stream, "is missing", want - have) + _told(stream, "is too many or different", have - want)
    for stream in (CONFIRMATIONS, EVENTS):
        want, have = _orders(expected, stream), _orders(found, stream)
        problems += [f"{stream} of {key}: another order" for key in want if want[key] != have.get(key)]
    want, have = expected.ledger(), found.ledger()
    problems += [f"ledger: {key} is missing" for key in want.keys() - have.keys()]
    problems += [f"ledger: {key} should not be there" for key in have.keys() - want.keys()]
    for key in sorted(want.keys() & have.keys()):
        told = {name: value for name, value in want[key].items() if not (timeless and name in PROCESSING_TIME)}
        other = [f"{name} {have[key][name]}, not {value}" for name, value in told.items() if have[key][name] != value]
        problems += [f"ledger of {key}: {', '.join(other)}"] if other else []
    return problems


def doubles(found):
    """Return the posting ids that stand there more than once."""
    ids = Counter(c["posting_id"] for c in found.documents(CONFIRMATIONS))
    return [f"posting {name} stands there {count} times" for name, count in ids.items() if count > 1][:SHOWN]


def _contents(outcome, stream, timeless):
    if stream == DEAD_LETTERS:
        return Counter(map(_letter, outcome.letters()))
    if not timeless:
        return Counter((r.value.decode(), r.key, r.headers) for r in outcome.stored(stream))
    rows = outcome.documents(stream)
    return Counter(json.dumps({k: v for k, v in row.items() if k not in PROCESSING_TIME}) for row in rows)


def _letter(letter):
    """What is said of a letter. A record held back from an earlier batch has no bytes left, which cuts decide."""
    own = (letter.key, letter.value, letter.headers) if letter.stage != "counter" else ()
    return (letter.stage, letter.topic, letter.partition, letter.fault.model_dump_json(), own)


def _orders(outcome, stream):
    """Return the numbers of each source and session in the order in which they can be read."""
    orders = defaultdict(list)
    for row in outcome.documents(stream):
        number = row.get("first_seq", row.get("seq"))
        orders[row["plant"], row["source"], row["session"], row.get("kind")].append(number)
    return orders


def _told(stream, what, counted):
    shown = [f"{stream}: {count} x {what}: {content!r:.400}" for content, count in list(counted.items())[:SHOWN]]
    return shown + ([f"{stream}: {len(counted) - SHOWN} more {what}"] if len(counted) > SHOWN else [])
