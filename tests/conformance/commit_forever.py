"""A writer for the tests to kill: commits 0, 1, 2 ... to a shard, as fast as it can, until it is stopped.

    python -m tests.conformance.commit_forever {sqlite FILE | kafka PREFIX@SERVERS} SHARD [COMMITS]

Commit i stores position i, the state {"n": i} and RECORDS records with the value i. It goes on from
the last commit, and says "ready" when it has restored the shard. As in a flow, a commit to Kafka is on its
way while the next is made.
"""

import itertools
import sys
from functools import partial
from pathlib import Path
from threading import Event

from dataflows.in_flight import CommitsInFlight, at_once
from sinks.commit_log import Record
from sinks.kafka import KafkaLog
from sinks.kafka_settings import KafkaSettings
from sinks.sqlite import SqliteLog

RECORDS = 20


def opened(adapter, place):
    if adapter == "sqlite":
        return SqliteLog(Path(place))
    prefix, _, servers = place.partition("@")
    return KafkaLog("flow", kafka_settings(servers, prefix))


def kafka_settings(servers, prefix):
    """Few partitions, so that shards share them; short time-outs, so that a failure shows soon."""
    return KafkaSettings(
        {"bootstrap.servers": servers},
        prefix=prefix,
        partitions=1,
        state_partitions=2,
        transaction_timeout_ms=5_000,
        restore_timeout_ms=30_000,
    )


def main(adapter, place, shard, commits=None):
    log = opened(adapter, place)
    snapshot = log.restore(shard)
    print("ready", flush=True)
    flight = CommitsInFlight(Event())
    begin = flight.begin if adapter == "kafka" else at_once
    start = 0 if snapshot is None else int(snapshot.position) + 1
    for i in itertools.count(start) if commits is None else range(start, int(commits)):
        value = b"%d" % i
        # The state is large enough that a kill often falls into the middle of a commit.
        state = {"n": value, "ballast": value * 20_000}
        records = [Record(shard, b"key", value) for _ in range(RECORDS)]
        begin(shard, partial(log.commit, shard, str(i), state, records))
    flight.settle()


if __name__ == "__main__":
    main(*sys.argv[1:])
