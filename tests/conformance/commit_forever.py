"""A writer for the tests to kill: commits 0, 1, 2 ... to a shard, as fast as it can, until it is stopped.

    python -m tests.conformance.commit_forever {sqlite FILE | kafka PREFIX@SERVERS} SHARD [COMMITS]

Commit i stores position i, the state {"n": i} and RECORDS records with the value i. It goes on from
the last commit, and says "ready" when it has restored the shard.
"""

import itertools
import sys
from pathlib import Path

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
    start = 0 if snapshot is None else int(snapshot.position) + 1
    for i in itertools.count(start) if commits is None else range(start, int(commits)):
        value = b"%d" % i
        # The state is large enough that a kill often falls into the middle of a commit.
        state = {"n": value, "ballast": value * 20_000}
        log.commit(shard, str(i), state, [Record(shard, b"key", value) for _ in range(RECORDS)])


if __name__ == "__main__":
    main(*sys.argv[1:])
