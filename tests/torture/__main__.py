"""Kill the flows for real, again and again, and compare what they made with what they should have made.

python -m tests.torture --kills 1000 --seed 7 --kafka               SQLite and a Kafka broker of its own
python -m tests.torture --only sqlite-plants --series 3 --seed 7    one series again, as far as time repeats itself
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # What forks should have one thread; said before numpy is loaded.

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.torture import report
from tests.torture.mutants import MUTANTS
from tests.torture.torture import KINDS, Torture

KAFKA_SHARE = 0.25
"""Of the kills, where both logs are tortured: a restart on Kafka takes longer."""


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=200, help="how many processes to kill")
    parser.add_argument("--seed", type=int, default=1, help="of the inputs and of the series")
    parser.add_argument("--kafka", nargs="?", const="", metavar="HOST:PORT", help="also on Kafka; starts a broker")
    parser.add_argument("--only", action="append", default=[], help="series whose names begin so")
    parser.add_argument("--series", type=int, help="with --only: this one of them")
    parser.add_argument("--records", type=int, default=5_000, help="of the simulated plants, about")
    parser.add_argument("--mutant", choices=sorted(MUTANTS), help="on a SQLite log that is broken on purpose")
    parser.add_argument("--discard", action="store_true", help="keep no state of what failed")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    asked = parser.parse_args()
    for name in [name for name in os.environ if name.startswith("PLANTSYNC_")]:
        del os.environ[name]  # They would change the settings of the flows.
    kinds = [kind for kind in KINDS if not asked.only or kind.name.startswith(tuple(asked.only))]
    if asked.kafka is None:
        kinds = [kind for kind in kinds if kind.log != "kafka"]
    sqlite = [kind for kind in kinds if kind.log == "sqlite"]
    kafka = [kind for kind in kinds if kind.log == "kafka"]
    kafka_kills = round(asked.kills * (KAFKA_SHARE if sqlite else 1))
    began_s = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="torture-"))
    torture = Torture(folder, asked.seed, asked.records, asked.kafka or "", asked.mutant)
    try:
        if sqlite:
            torture.run(sqlite, asked.kills - kafka_kills * bool(kafka), asked.series)
        if kafka:
            if not torture.servers:
                torture.start_broker()
            torture.run(kafka, kafka_kills, asked.series)
    finally:
        torture.close()
    told = report.summary(torture.results, time.monotonic() - began_s, asked.seed) | {"left_out": torture.left_out}
    print(json.dumps(told) if asked.json else report.text(told))
    if told["passed"] or asked.discard:
        shutil.rmtree(folder)
    return int(not told["passed"])


if __name__ == "__main__":
    sys.exit(main())
