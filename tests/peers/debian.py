"""Servers that come as packages of Debian: installed where this user may, else the test is skipped, with the reason."""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "bin" / "debian"


@functools.cache
def refusal(package: str) -> str:
    """Return why a package is not there and cannot be; empty: it is there."""
    done = subprocess.run([SCRIPT, package], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stderr.strip() or f"{package} cannot be installed"


def needs(package: str) -> None:
    if reason := refusal(package):
        pytest.skip(reason)
