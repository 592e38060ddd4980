"""Processes forked from one that has loaded the program, which takes a second and a half of the processor's time.

Each is a process as any other, with its own clients and threads, and dies of a real SIGKILL. The one they are forked
from, one for every process of pytest, imports modules and does nothing else: drivers' threads do not outlive a fork.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_SERVED = multiprocessing.get_context("forkserver")
_SERVED.set_forkserver_preload([
    "dataflows.cli.audit",
    "dataflows.cli.status",
    "dataflows.erp_simulator.server",
    "dataflows.replay.replay",
    "dataflows.runtime",
    "dataflows.simulator",
    "numpy.ma",
    "_strptime",
])  # fmt: skip


class Forked:
    """A process that does ``target(*args)``; it is asked and told as a ``subprocess.Popen`` is.

    Args:
        target: a function of a module, and what it is called with can be pickled.
        said: files to which it appends its output and its errors; without, they go where ours go.
        parental: whether it may start processes as ``multiprocessing`` does; such a one is waited for at our end.
    """

    def __init__(
        self, target: Callable[..., object], *args: Any, said: tuple[Path, Path] | None = None, parental=False
    ):
        self._process = _SERVED.Process(target=_be, args=(said, target, args), daemon=not parental)
        self._process.start()
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired(str(self._process.name), timeout)
        return code

    def send_signal(self, what: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, what)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def line(self, output: Path, seconds: float = 30) -> str:
        """Wait for the first line that it says in a file, and return it."""
        deadline = time.monotonic() + seconds
        while not (output.exists() and "\n" in (said := output.read_text("utf-8"))):
            assert self.poll() is None, f"it ended with {self.poll()}"
            assert time.monotonic() < deadline, "it says nothing"
            time.sleep(0.01)
        return said.partition("\n")[0]


def _be(said: tuple[Path, Path] | None, target: Callable[..., object], args: tuple[Any, ...]) -> None:
    for number, path in enumerate(said or (), 1):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    target(*args)
