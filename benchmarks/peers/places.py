"""Where peers are set up: each in a folder of its own in the user's cache, made once for what it is made from."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
JOBS = HERE / "jobs"
SETUP_TIMEOUT_S = 900


class Unavailable(Exception):
    """A peer cannot be set up here; the message says what is missing."""


def place(name: str, sources: list[Path], make: Callable[[Path], None]) -> Path:
    """Return the folder that ``make`` fills, made anew when a source or the interpreter changes.

    The folder appears in one rename, so that an interrupted setup leaves nothing behind.

    Raises: Unavailable.
    """
    digest = hashlib.sha256(sys.version.encode())
    for source in sources:
        digest.update(source.read_bytes())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "plantsync" / "peers"
    folder = cache / f"{name}-{digest.hexdigest()[:12]}"
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=cache) as scratch:
            fresh = Path(scratch) / "fresh"
            fresh.mkdir()
            make(fresh)
            with contextlib.suppress(OSError):  # A parallel run was first: its folder is as good.
                fresh.rename(folder)
    return folder


def python(name: str) -> str:
    """Return the interpreter of an environment with ``requirements/<name>.txt`` and nothing else."""
    requirements = HERE / "requirements" / f"{name}.txt"

    def make(folder: Path) -> None:
        done([sys.executable, "-m", "venv", str(folder)])
        done([str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "--no-deps", "-r", str(requirements)])

    return str(place(name, [requirements], make) / "bin/python")


def compiled_c() -> str:
    """Return the C job, compiled by the C compiler of this machine."""
    source = JOBS / "limit.c"
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None:
        raise Unavailable("there is no C compiler: install gcc or clang")

    def make(folder: Path) -> None:
        done([compiler, "-O2", "-o", str(folder / "limit"), str(source)])

    return str(place("c", [source], make) / "limit")


def flink_classes() -> str:
    """Return the class path of the Flink job: its jars, resolved by Maven, and the job, compiled."""
    source, pom = JOBS / "FlinkJob.java", HERE / "flink-pom.xml"
    missing = [tool for tool in ("java", "javac", "mvn") if shutil.which(tool) is None]
    if missing:
        raise Unavailable(f"not installed: {', '.join(missing)}")

    def make(folder: Path) -> None:
        jars = folder / "jars"
        maven = ["mvn", "-B", "-q", "-f", str(pom), "dependency:copy-dependencies", "-DincludeScope=runtime"]
        done([*maven, f"-DoutputDirectory={jars}"])
        done(["javac", "-nowarn", "-cp", f"{jars}/*", "-d", str(folder / "classes"), str(source)])

    folder = place("flink", [source, pom], make)
    return f"{folder / 'classes'}:{folder / 'jars'}/*"


def done(command: list[str]) -> None:
    """Run a step of a setup. Raises: Unavailable, with the end of what it said."""
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=SETUP_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(str(error)) from error
    if ran.returncode:
        said = (ran.stderr + ran.stdout).strip().splitlines() or ["it said nothing"]
        raise Unavailable(f"{Path(command[0]).name} failed: {said[-1][:300]}")
