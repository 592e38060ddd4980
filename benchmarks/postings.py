"""Rate of the flow postings on one core: JSON of confirmations in, records of postings and changed state out.

Every confirmation passes all checks and becomes a posting; each fiftieth is scrap. Commits of 10,000 confirmations.
Processor time, so that other work on the machine counts little; the best and the median of some rounds.

    python -m benchmarks.postings [--confirmations 100000] [--rounds 5]
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import replace

import numpy as np

from canonical.records import RawRecords
from dataflows.heap import collect_seldom
from dataflows.intake import Room
from dataflows.items import Commit, Shard, Work
from dataflows.postings import Decide
from dataflows.processors.posting.policy import PostingPolicy
from dataflows.sources.merged import BETWEEN
from tests.postings_world import NOW_US, confirmation, order, references

BATCH = 10_000
ORDERS = 1_000


def records(values: list[bytes], name: str) -> RawRecords:
    raw = RawRecords.from_values(values, np.arange(len(values)), name)
    return replace(raw, topic=f"{name}{BETWEEN}{name}")


def measured(values: list[bytes], told: list[bytes]) -> tuple[float, int]:
    """Return the seconds of processor time for all confirmations, and how many postings they became."""
    stage = Decide(Shard("postings"), {}, PostingPolicy(), Room(200_000), {})
    list(stage.work(Work(NOW_US, records(told, "reference/north"))))
    made, began_s = 0, time.process_time()
    for at in range(0, len(values), BATCH):
        list(stage.work(Work(NOW_US, records(values[at : at + BATCH], "confirmations"))))
        commit = Commit(NOW_US, "")
        commit.state.update(stage.commit(commit))
        made += sum(record.stream.startswith("postings-") for record in commit.records)
    return time.process_time() - began_s, made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--confirmations", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    collect_seldom()  # As the flow does.
    orders = [order(str(n), over_delivery=None) for n in range(ORDERS)]
    told = [record.model_dump_json().encode() for record in [*references(), *orders]]
    values = [
        confirmation(n, order=str(n % ORDERS), scrap=500 * (n % 50 == 0), reason="R1" if n % 50 == 0 else "")
        .model_dump_json()
        .encode()
        for n in range(given.confirmations)
    ]
    rates = []
    for _ in range(given.rounds):
        seconds, made = measured(values, told)
        assert made == given.confirmations, made
        rates.append(given.confirmations / seconds)
    print(f"{max(rates):,.0f} confirmations/s at best, {statistics.median(rates):,.0f} in the median of {given.rounds}")


if __name__ == "__main__":
    main()
