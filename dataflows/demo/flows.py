"""The flows of the demo, each a process that is started, killed and stopped."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from dataflows.demo.folder import DemoFolder
from dataflows.demo.service import Service


@dataclass(slots=True)
class Flows:
    """The flows that run, by name, until the block ends.

    Args: folder: of the demo; it is configured. environment: of the processes.
    """

    folder: DemoFolder
    environment: Mapping[str, str]
    running: dict[str, Service] = field(default_factory=dict)
    _started: ExitStack = field(default_factory=ExitStack)

    def start(self, flow: str, *options: str) -> Service:
        """Start a flow, again where it ran before."""
        output = self.folder.output / f"{flow}.txt"
        arguments = ["run", flow, "--config", str(self.folder.settings), *options]
        service = self._started.enter_context(Service(f"flow {flow}", arguments, output, self.environment))
        self.running[flow] = service
        return service

    def alive(self) -> None:
        """Raise ServiceDied unless all that run do."""
        for service in self.running.values():
            service.alive()

    def stop(self, flow: str) -> None:
        """Let a flow make its last commit and end. Raises: ServiceDied."""
        self.running.pop(flow).stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._started.__exit__(kind, error, at)
