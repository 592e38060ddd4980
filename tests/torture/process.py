"""Processes to be killed, and questions answered in a process of their own.

Starting Python and importing everything takes a second; forking a process that has done so takes
milliseconds. What is forked runs the real flow, under its own process id, and dies of a real SIGKILL.
The parent therefore never opens a log, a store or a client: a driver's threads do not survive a fork.
"""

from __future__ import annotations

import _strptime  # noqa: F401 - what a flow imports with its first record is imported before it forks
import ctypes
import os
import pickle
import signal
import sys
import tempfile
import traceback
from pathlib import Path

import arro3.core  # noqa: F401
import numpy.ma  # noqa: F401

from tests.torture.place import Page

PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


class Broken(Exception):
    """A process ended in a way that nothing in the plan explains; the message holds what it said."""


class Process:
    """A child, forked or a command, until it ends by itself or is killed."""

    def __init__(self, name, output, run, page=None):
        """Start it: ``run`` is a function of the page, or the words of a command."""
        self.name, self.output, self.page = name, output, page or Page()
        self.code = None  # of its exit, once it has ended
        self.accepted = {0}
        self.pid = os.fork()
        if not self.pid:
            _be(run, output, self.page)

    def kill(self, *, whatever=False):
        """Kill it. Returns: where it was, or None when it had ended before. Raises: Broken, unless ``whatever``."""
        if not self.pid:
            return None
        os.kill(self.pid, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        self._ended_with(status, {-signal.SIGKILL}, whatever=whatever)
        return self.page.place if self.code == -signal.SIGKILL else None

    def ended(self):
        """Return whether it ended. Raises: Broken when it did so in a way that is not ``accepted``."""
        if not self.pid:
            return True
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            self._ended_with(status)
        return bool(pid)

    def _ended_with(self, status, others=frozenset(), *, whatever=False):
        self.pid, self.code = 0, os.waitstatus_to_exitcode(status)
        if not whatever and self.code not in self.accepted | others:
            said = self.output.read_text(errors="replace")[-4_000:] if self.output.exists() else ""
            raise Broken(f"{self.name} ended with {self.code}, and not because we killed it; it said:\n{said}")

    def stop(self):
        """Ask it to end, and wait until it has."""
        if not self.ended():
            os.kill(self.pid, signal.SIGTERM)
            os.waitpid(self.pid, 0)
            self.pid = 0


def _be(run, output, page):
    """Be the child, which never returns."""
    code = 1
    try:
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        for stream in (1, 2):
            os.dup2(handle, stream)
        if callable(run):
            run(page)
            code = 0
        else:
            os.execv(run[0], run)
    except SystemExit as ending:
        code = ending.code or 0
    except BaseException:  # noqa: BLE001 - whatever it is, the parent reads it
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def answer(question, *args):
    """Return what ``question(*args)`` returns in a process of its own. Raises: Broken."""
    with tempfile.TemporaryDirectory(prefix="torture-") as folder:
        told = Path(folder) / "answer"

        def ask(_page):
            told.write_bytes(pickle.dumps(question(*args)))

        process = Process(question.__name__, Path(folder) / "output", ask)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        process.ended()
        return pickle.loads(told.read_bytes())
