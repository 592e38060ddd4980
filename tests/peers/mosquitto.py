"""A mosquitto broker of the tests' own, which may be killed; it keeps its sessions on disk."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from tests.peers.debian import needs


class Mosquitto:
    """Args: listener: further lines for the listener, such as certificates; anonymous: whether anybody may connect."""

    def __init__(self, listener: str = "", *, anonymous: bool = True) -> None:
        needs("mosquitto")
        self.folder = Path(tempfile.mkdtemp(prefix="mosquitto-"))
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        (self.folder / "mosquitto.conf").write_text(
            f"listener {self.port} 127.0.0.1\n{listener}\nallow_anonymous {str(anonymous).lower()}\nuser root\n"
            f"persistence true\npersistence_location {self.folder}/\nautosave_interval 1\nautosave_on_changes true\n"
            "max_queued_messages 0\n"
        )
        self.start()

    def start(self) -> None:
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        log = (self.folder / "log").open("ab")
        self._process = subprocess.Popen([program, "-c", self.folder / "mosquitto.conf"], stdout=log, stderr=log)
        log.close()
        deadline = time.monotonic() + 30
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            time.sleep(0.05)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(30)

    def stop(self) -> None:
        """End it in order: what it keeps is on disk."""
        self._process.terminate()
        self._process.wait(30)

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
