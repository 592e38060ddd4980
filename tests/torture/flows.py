"""How a flow is started: forked with the real ``run_flow``, or as the command ``plantsync run``."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from threading import Event

from confluent_kafka import Consumer, TopicPartition

from dataflows import opened_log, runtime
from dataflows.cli.exit_codes import FENCED
from dataflows.settings import load
from dataflows.shards import Share
from sinks.commit_log import CommitLogUnavailable, WriterFenced
from sinks.sqlite import SqliteStreams
from sinks.streams import LEDGER
from tests.torture.place import watched

PLANTSYNC = Path(sys.executable).with_name("plantsync")


def forked(settings, flow, share=(0, 1), *, until_end=True, rows_max=None, now_us=None, mutant=None):
    """Return what a forked process does: the flow, on a clock that stands still if ``now_us`` is given.

    ``mutant``: classes that take the place of the flow's own, by name. Who is fenced exits as the command does.
    """

    def run(page):
        for room, name in ((opened_log, "SqliteLog"), (opened_log, "KafkaLog"), (runtime, "Store")):
            setattr(room, name, watched((mutant or {}).get(name, getattr(room, name)), page))
        told = load(settings)
        if rows_max:
            told = told.model_copy(update={"pace": told.pace.model_copy(update={"commit_rows_max": rows_max})})
        clock = None if now_us is None else lambda: now_us
        try:
            runtime.run_flow(told, flow, stop=Event(), until_end=until_end, share=Share(*share), clock=clock)
        except WriterFenced:
            sys.exit(FENCED)

    return run


def command(settings, flow, share=(0, 1), *, until_end=True):
    """Return the words of the real command."""
    words = [PLANTSYNC, "run", flow, "-c", settings, "--quiet"]
    if until_end:
        words.append("--until-end")
    if share[1] > 1:
        words += ["--share", f"{share[0]}/{share[1]}"]
    return list(map(str, words))


def watch_sqlite(path, page):
    """Note on a command's page the commits that can be read from its log, until killed."""

    def run(_page):
        streams = None
        while streams is None:
            try:
                streams = SqliteStreams(path)
            except CommitLogUnavailable:
                time.sleep(0.005)
        before = streams.end(LEDGER)
        while True:
            page.seen(streams.end(LEDGER) - before)
            time.sleep(0.003)

    return run


def watch_kafka(servers, prefix, page):
    """Same, of a log on Kafka: what its readers may see."""

    def run(_page):
        own = {"bootstrap.servers": servers, "group.id": "torture", "isolation.level": "read_committed"}
        consumer, topic = Consumer(own), prefix + LEDGER
        before = None
        while True:
            found = consumer.list_topics(timeout=30).topics.get(topic)
            parts = sorted(found.partitions) if found else []
            ends = [consumer.get_watermark_offsets(TopicPartition(topic, part), 10)[1] for part in parts]
            before = sum(ends) if before is None else before
            page.seen(sum(ends) - before)
            time.sleep(0.02)

    return run


def watch_store(published, page):
    """Same, of a store: each publication replaces the file."""

    def inode():
        try:
            return published.stat().st_ino
        except FileNotFoundError:
            return 0

    def run(_page):
        count, before = 0, inode()
        while True:
            now = inode()
            count += now != before
            before = now
            page.seen(count)
            time.sleep(0.003)

    return run
