"""A PostgreSQL server of the tests' own, in a folder of its own, which may be killed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pg8000.dbapi

from tests.peers.debian import needs

USER = "postgres"
"""PostgreSQL does not run as root; Debian's package makes this user."""


class PostgreSql:
    def __init__(self) -> None:
        needs("postgresql")
        self._programs = max(Path("/usr/lib/postgresql").glob("*/bin"))
        self._folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
        self._user = USER if os.geteuid() == 0 else None
        if self._user:
            shutil.chown(self._folder, self._user)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._run("initdb", "-D", self._folder / "data", "-U", "mes", "-A", "trust", "-N", "--locale=C", "-E", "UTF8")
        self.start()

    @property
    def url(self) -> str:
        return f"postgresql+pg8000://mes@127.0.0.1:{self.port}/postgres"

    def connect(self) -> pg8000.dbapi.Connection:
        return pg8000.dbapi.connect("mes", host="127.0.0.1", port=self.port, database="postgres")

    def do(self, *statements: str) -> None:
        connection = self.connect()
        for statement in statements:
            connection.cursor().execute(statement)
        connection.commit()
        connection.close()

    def start(self) -> None:
        command = [self._programs / "postgres", "-D", self._folder / "data", "-p", str(self.port)]
        command += ["-k", self._folder, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
        self._process = subprocess.Popen(
            command, user=self._user, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self._folder
        )
        deadline = time.monotonic() + 60
        while True:
            try:
                self.connect().close()
            except (pg8000.dbapi.InterfaceError, pg8000.dbapi.DatabaseError):
                assert time.monotonic() < deadline, "PostgreSQL does not start"
                time.sleep(0.05)
            else:
                return

    def kill(self) -> None:
        """End it at once (``immediate``), as a crash of its machine would."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(30)

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, program: str, *arguments: object) -> None:
        command = [self._programs / program, *map(str, arguments)]
        subprocess.run(command, user=self._user, check=True, stdout=subprocess.DEVNULL, cwd=self._folder)
