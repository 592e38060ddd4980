"""Progress: what a run holds is told by the newest commit of each shard."""

from __future__ import annotations

import numpy as np

from dataflows.confirmations import writing
from dataflows.items import Commit
from dataflows.progress import Progress
from sinks.memory import MemoryLog


def test_the_newest_commit_of_a_shard_counts() -> None:
    log, progress = MemoryLog(), Progress()
    write = writing(log, progress.holds)
    for shard, held, whole in (("one", [2, 3], 5), ("two", [4], 9), ("one", [0, 5, 1], 10), ("two", [0], 6)):
        log.restore(shard)
        write(shard, Commit(0, "", totals={"held": np.array(held)}))
        assert progress.held == whole
    write("two", Commit(0, ""))
    assert progress.held == 6
