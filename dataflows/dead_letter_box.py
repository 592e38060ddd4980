"""The dead letters a log holds: one after the other, or one by its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from canonical.contracts import FaultCode
from dataflows.committed_states import committed_states
from dataflows.replay.original_records import Original, OriginalRecords
from dataflows.settings import Settings
from dataflows.shards import confirmations_shards
from dataflows.sources.shard_source import Clock
from dataflows.stored_records import from_file, from_partition, kafka_of, stored_records
from sinks.commit_log import PlantsyncError, Stored
from sinks.dead_letters import REFUSE, parse
from sinks.streams import DEAD_LETTERS

PLACE: Final = re.compile(r"(?:(\d+):)?(\d+)")

HINTS: Final = {
    FaultCode.NOT_UTF8: "Ask the sender for UTF-8, or set the encoding in the mapping.",
    FaultCode.TRUNCATED: "See whether the sender or a copy was cut off; have the record sent again.",
    FaultCode.MALFORMED: "Compare the record with the mapping's format; have the sender mend and repeat it.",
    FaultCode.WRONG_TYPE: "Compare the field with the mapping; map another field, or have the sender mend it.",
    FaultCode.MISSING_FIELD: "Map another field, give it a constant value, or have the sender fill it.",
    FaultCode.UNKNOWN_TYPE: "Add the word to [types] of the mapping, then send the record again.",
    FaultCode.UNKNOWN_UNIT: "Add the unit to [units] of the mapping, then send the record again.",
    FaultCode.UNKNOWN_SCHEMA: "Add the writer schema to [avro.ids] of the mapping, then send the record again.",
    FaultCode.NEGATIVE_QUANTITY: "Ask the plant what was meant; correct it in the ERP if it was made.",
    FaultCode.ABSURD_QUANTITY: "Check the unit; raise limits.quantity_max if such quantities are real.",
    FaultCode.BAD_SEQUENCE: "Have the sender number from 0 in whole numbers, or set sequencing.mode to arrival.",
    FaultCode.BAD_TIMESTAMP: "Compare the text with time.format and time_zone of the mapping.",
    FaultCode.TIMESTAMP_FUTURE: "Check the clock of the source; limits.future_max_s is the tolerance.",
    FaultCode.TIMESTAMP_PAST: "Check the clock of the source; limits.past_max_s is the tolerance.",
    FaultCode.OVERSIZE: "See what makes it so large; limits.record_bytes_max is the bound.",
    FaultCode.DEEP_NESTING: "See what makes it so deep; limits.depth_max is the bound.",
    FaultCode.TEXT_TOO_LONG: "Check that the mapped field is the key that is meant, not a description.",
    FaultCode.CONFLICTING_DUPLICATE: "One number, two records: find out which is true. The first counts.",
    FaultCode.TOO_LATE: "Enter by hand what it says, or raise sequencing.gaps_max for the next time.",
    FaultCode.SESSIONS_EXHAUSTED: "See whether each record names a session of its own; raise sequencing.sessions_max.",
    FaultCode.BOUND_REACHED: "Settle the exceptions that fill the bound, or raise it; docs/bounds.md names it.",
    FaultCode.NOT_OWNER: "See which system may tell of it: postings.owners of the settings says.",
    FaultCode.UNSAFE_NAME: "Find out who made the name or the link; have it sent under a plain one.",
    FaultCode.NOT_AUTHENTIC: "See whether it is a stranger, or one of ours with an old token, key or clock.",
    FaultCode.FLOODED: "Find out who sends so much; if it is right, raise the bound that docs/collect.md names.",
}
"""What a person should do about a record of each code."""


class NoSuchLetter(PlantsyncError):
    """There is no dead letter at this place."""


def letters(settings: Settings) -> Iterator[tuple[str, Stored]]:
    """Yield every dead letter with its place (see ``stored_records``).

    Raises: CommitLogUnavailable, CommitLogError, SourceUnavailable.
    """
    return stored_records(settings, DEAD_LETTERS)


def letter(settings: Settings, place: str) -> Stored:
    """Return the dead letter at a place.

    Raises: NoSuchLetter, CommitLogUnavailable, CommitLogError, SourceUnavailable.
    """
    match = PLACE.fullmatch(place)
    on_kafka = settings.log.kind == "kafka"
    if match is None or (match[1] is not None) != on_kafka:
        form = "PARTITION:OFFSET" if on_kafka else "an offset"
        raise NoSuchLetter(f"{place!r} is not {form}; plantsync dead-letters list shows the places there are")
    offset = int(match[2])
    if on_kafka:
        kafka = kafka_of(settings)
        found = from_partition(kafka, kafka.topic(DEAD_LETTERS), int(match[1]), offset)
    else:
        found = from_file(settings, DEAD_LETTERS, offset - 1)
    for at, stored in found:
        if at == place:
            return stored
        break
    raise NoSuchLetter(f"there is no dead letter {place}; plantsync dead-letters list shows those there are")


def fetched_again(settings: Settings, stored: Stored, clock: Clock) -> Original | None:
    """Return the record of a dead letter whose bytes were gone, from the input; None where it is there no more.

    Raises: DeadLetterUnreadable, CommitLogUnavailable, CommitLogError, SourceUnavailable.
    """
    letter = parse(stored)
    if letter.stage == REFUSE:
        return None
    _, name = set_aside_by(stored)
    shard = confirmations_shards(settings, clock).get(name)
    snapshot = committed_states(settings, [name]).get(name)
    if shard is None or snapshot is None:
        return None
    with OriginalRecords(shard, snapshot) as originals:
        return originals.find(letter)


def set_aside_by(stored: Stored) -> tuple[str, str]:
    """Return the flow and the shard that set a record aside; empty where its headers do not say."""
    told = {name: value.decode("utf-8", "replace") for name, value in stored.headers}  # the last of a name counts
    return told.get("__connect.errors.connector.name", ""), told.get("__connect.errors.task.id", "")
