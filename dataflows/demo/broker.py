"""The demo's MQTT broker: mosquitto, where it is installed."""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from dataflows.demo.folder import DemoFolder
from dataflows.demo.service import Service
from sinks.commit_log import PlantsyncError

MOSQUITTO: Final = "mosquitto"
BESIDE: Final = ("/usr/sbin", "/usr/local/sbin")
"""Where it lies on systems that have such folders in no user's path."""
START_S: Final = 20.0
SETTINGS: Final = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence false
max_queued_messages 0
log_dest stdout
log_type error
log_type warning
"""


class BrokerSilent(PlantsyncError):
    """The broker does not begin to answer."""


def mosquitto(path: str) -> Path | None:
    """Return the broker's program, None where it is not installed. Args: path: folders, as the shell has them."""
    found = shutil.which(MOSQUITTO, path=":".join((path, *BESIDE)))
    return None if found is None else Path(found)


class Broker(Service):
    """A broker for this machine alone, at a free port, until the block ends."""

    def __init__(self, program: Path, folder: DemoFolder, environment: Mapping[str, str]) -> None:
        folder.broker.mkdir()
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        settings = folder.broker / "mosquitto.conf"
        settings.write_text(SETTINGS.format(port=self.port), encoding="utf-8")
        super().__init__(MOSQUITTO, ["-c", settings], folder.output / "mosquitto.txt", environment, (str(program),))

    def ready(self) -> int:
        """Wait until it answers; return its port. Raises: ServiceDied, BrokerSilent."""
        until_s = time.monotonic() + START_S
        while True:
            self.alive()
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self.port
            if time.monotonic() > until_s:
                raise BrokerSilent(f"mosquitto does not answer after {START_S:.0f} s; see {self.output}")
            time.sleep(0.05)
