"""A command as a process of its own, as an operator would start it; mostly one of plantsync."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from sinks.commit_log import PlantsyncError

STOP_S: Final = 20.0
"""A process that does not stop for so long when the demo is broken off is killed."""
END_S: Final = 120.0
PLANTSYNC: Final = (sys.executable, "-c", "from dataflows.cli import main; main()")


class ServiceDied(PlantsyncError):
    """A process ended without being told to, or did not end."""


class Service:
    """``PROGRAM ARGUMENTS`` until the block ends; then it is told to stop, and killed if it does not.

    Args:
        name: what it is called in messages.
        arguments: of the command.
        output: the file to which everything it says is appended.
        environment: of the process.
        program: and what comes before the arguments.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str | Path],
        output: Path,
        environment: Mapping[str, str],
        program: Sequence[str] = PLANTSYNC,
    ) -> None:
        self.name = name
        self.output = output
        with output.open("ab") as messages:
            self._process = subprocess.Popen(  # noqa: S603 - no shell; ourselves, or a broker
                [*program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=messages,
                stderr=subprocess.STDOUT,
                env=dict(environment),
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def alive(self) -> None:
        """Raise ServiceDied unless it runs."""
        if self._process.poll() is not None:
            raise self._died()

    def kill(self) -> int:
        """Kill it as ``kill -9`` does; return the number of the signal it died of."""
        self.alive()
        self._process.kill()
        return -self._process.wait()

    def stop(self) -> None:
        """Let it make its last commit and end. Raises: ServiceDied."""
        self.alive()
        self._process.terminate()
        self.ended()

    def ended(self) -> None:
        """Wait until it has ended in order. Raises: ServiceDied."""
        try:
            code = self._process.wait(END_S)
        except subprocess.TimeoutExpired as error:
            raise ServiceDied(f"{self.name} has not ended within {END_S:.0f} s; see {self.output}") from error
        if code != 0:
            raise self._died()

    def _died(self) -> ServiceDied:
        code = self._process.returncode
        why = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        last = self.output.read_text("utf-8", "replace").strip().splitlines()[-5:]
        return ServiceDied("\n".join([f"{self.name} ended with {why}; the end of {self.output}:", *last]))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
