"""An OpenSSH server of the tests' own, with a key of its own, which may be killed."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from tests.peers.debian import needs

SSHD = "/usr/sbin/sshd"


class SftpServer:
    """``folder`` is what it serves; ``key`` is the user's private key, ``known_hosts`` has the server's."""

    def __init__(self) -> None:
        needs("openssh-server")
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # where it parts with its rights; Debian's service makes it
        self._own = Path(tempfile.mkdtemp(prefix="sshd-"))
        self.user = pwd.getpwuid(os.geteuid()).pw_name
        self.folder = self._own / "outgoing"
        self.folder.mkdir()
        self.key, host_key = self._own / "id", self._own / "host"
        for key in (self.key, host_key):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.known_hosts = self._own / "known_hosts"
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {host_key.with_suffix('.pub').read_text()}")
        shutil.copy(self.key.with_suffix(".pub"), self._own / "authorized_keys")
        (self._own / "config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {host_key}\nPidFile none\nStrictModes no\n"
            f"AuthorizedKeysFile {self._own}/authorized_keys\nPasswordAuthentication no\nUsePAM no\n"
            "PermitRootLogin yes\nSubsystem sftp internal-sftp\n"
        )
        self.start()

    def start(self) -> None:
        # In a group of its own, so that those who serve connections die with it.
        command = [SSHD, "-D", "-e", "-f", self._own / "config"]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
        deadline = time.monotonic() + 30
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self._process.poll() is None, "sshd does not start"
            assert time.monotonic() < deadline, "sshd does not start"
            time.sleep(0.02)

    def put(self, name: str, content: bytes, mtime: int = 1_795_000_000) -> None:
        """Let a file be there at once, as if uploaded under another name."""
        hidden = self._own / "upload"
        hidden.write_bytes(content)
        os.utime(hidden, (mtime, mtime))
        hidden.rename(self.folder / name)

    def kill(self) -> None:
        """Kill it with all its connections, as a crash of its machine would."""
        listed = subprocess.run(["ps", "-eo", "pid,ppid"], capture_output=True, text=True, check=True).stdout
        parents = {int(pid): int(parent) for pid, parent in (line.split() for line in listed.splitlines()[1:])}
        own = {self._process.pid}
        for _ in range(3):
            own |= {pid for pid, parent in parents.items() if parent in own}
        for pid in own:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(30)

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self._own, ignore_errors=True)
