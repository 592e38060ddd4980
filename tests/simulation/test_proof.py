"""The laws under simulated crashes (M08, M09, M25, M49; DESIGN laws 1-5): many schedules, each place hit.

CI runs 10,000 schedules, ``PLANTSYNC_SCHEDULES`` any number; how long that takes is in docs/reliability.md.
"""

import logging
import os
import time

import pytest

from dataflows.cli.prove import in_processes
from dataflows.proof import Campaign
from dataflows.proof.faults import Kind, Place, kinds_at
from tests.simulation.plants import PLANTS

CI = os.environ.get("CI") == "true"
SCHEDULES = int(os.environ.get("PLANTSYNC_SCHEDULES", "10000" if CI else "1000"))


@pytest.mark.timeout(1_800)
def test_every_law_holds_in_every_schedule():
    began = time.monotonic()
    tally = in_processes(PLANTS, SCHEDULES, jobs=2)
    seconds = time.monotonic() - began
    print(f"\n{SCHEDULES:,} schedules in {seconds:.1f} s: {tally.summary()}")

    assert not tally.broken, "\n\n".join(f"{verdict}" for verdict in tally.verdicts)
    assert tally.schedules == SCHEDULES
    met = tally.summary()
    assert set(met["faults"]["crash"]) == set(Place), "a place was never hit by a crash"
    assert set(met["faults"]["pause"]) == set(Place), "a process never stood still at a place"
    for kind in Kind:
        possible = {str(place) for place in Place if kind in kinds_at(place)}
        assert set(met["faults"][kind]) == possible if SCHEDULES >= 10_000 else met["faults"][kind], kind
    rare = ("fenced", "gaps declared", "late records", "duplicates", "faulty records", "with a commit in flight")
    assert all(met[name] > SCHEDULES / 100 for name in rare), met
    assert met["compared with no faults"] > SCHEDULES / 4


def test_a_seed_says_everything(caplog):
    caplog.set_level(logging.ERROR, "dataflows")
    seeds = [3, 57, 408]
    at_once = [str(Campaign(PLANTS).run(seed)) for seed in seeds]
    campaign = Campaign(PLANTS)
    for seed in range(50, 57):
        campaign.run(seed)
    assert [str(campaign.run(seed)) for seed in reversed(seeds)] == at_once[::-1]
