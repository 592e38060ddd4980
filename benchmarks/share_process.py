"""A process of several that share the shards: prepares itself, waits for a line of input, runs, and says how long.

python -m benchmarks.share_process SETTINGS I/N
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from threading import Event

from dataflows.progress import Progress
from dataflows.runtime import run_flow
from dataflows.settings import load
from dataflows.shards import Share


def main(settings: str, share: str) -> None:
    """Run this share of the flow to the end of its input."""
    loaded = load(Path(settings))
    print("ready", flush=True)
    sys.stdin.readline()
    began_s, cpu_s = time.monotonic(), time.process_time()
    run_flow(
        loaded,
        "confirmations",
        stop=Event(),
        until_end=True,
        share=Share.parse(share),
        cluster=None,
        progress=Progress(),
        chance=lambda: 0.5,
    )
    print(json.dumps({"s": time.monotonic() - began_s, "cpu_s": time.process_time() - cpu_s}))


if __name__ == "__main__":
    main(*sys.argv[1:])
