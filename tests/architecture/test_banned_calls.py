"""Clock, chance and environment enter at the edge and nowhere else."""

from __future__ import annotations

import subprocess
import sys

import pytest

CALLS = [
    "import time\n\nNOW = time.time()\n",
    "from time import time_ns\n\nNOW = time_ns()\n",
    "import datetime\n\nNOW = datetime.datetime.now(datetime.UTC)\n",
    "from datetime import datetime\n\nNOW = datetime.utcnow()\n",
    "import datetime\n\nTODAY = datetime.date.today()\n",
    "import uuid\n\nNAME = uuid.uuid4()\n",
    "import uuid\n\nNAME = uuid.uuid1()\n",
    "import random\n\nDICE = random.Random(1)\n",
    "import numpy as np\n\nDICE = np.random.default_rng(1)\n",
    "import os\n\nHOME = os.environ['HOME']\n",
    "import os\n\nHOME = os.getenv('HOME')\n",
]
INSIDE = ["canonical/identity.py", "dataflows/processors/sequence.py", "dataflows/stage.py", "sinks/kafka.py"]
EDGE = ["dataflows/cli.py", "dataflows/cli/run.py", "dataflows/settings/settings.py", "dataflows/sources/landed.py"]


def _banned(root, file: str, code: str) -> bool:
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--select", "TID251", "--stdin-filename", file, "-"]
    result = subprocess.run(command, cwd=root, input=code, capture_output=True, text=True, check=False)
    return "TID251" in result.stdout


@pytest.mark.parametrize("code", CALLS)
def test_the_linter_refuses_the_call_inside(root, code):
    assert _banned(root, INSIDE[1], code)


@pytest.mark.parametrize("file", INSIDE)
def test_the_linter_refuses_it_in_every_room(root, file):
    assert _banned(root, file, CALLS[0])


@pytest.mark.parametrize("file", EDGE)
def test_the_edge_may_call_it(root, file):
    assert not _banned(root, file, CALLS[0])


def test_no_file_exempts_itself(root):
    exempt = [
        str(path.relative_to(root))
        for room in ("canonical", "sinks", "dataflows")
        for path in (root / room).rglob("*.py")
        if "noqa: TID251" in path.read_text() or "ruff: noqa" in path.read_text()
    ]

    assert exempt == []
