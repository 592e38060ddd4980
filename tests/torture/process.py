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
        self.code = None
        self.pid = os.fork()
        if not self.pid:
            _be(run, output, self.page)

    def kill(self):
        """Kill it; return where it was, or None when it had ended before."""
        if self.ended():
            return None
        os.kill(self.pid, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        self.pid = 0
        if not os.WIFSIGNALED(status):
            self._check(status)
            return None
        assert os.WTERMSIG(status) == signal.SIGKILL
        return self.page.place

    def ended(self, *, instead=0):
        """Return whether it ended by itself. Raises: Broken when it did so with an error but ``instead``."""
        if not self.pid:
            return True
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if not pid:
            return False
        self.pid, self.code = 0, os.waitstatus_to_exitcode(status)
        if self.code != instead:
            self._check(status)
        return True

    def stop(self):
        """Ask it to end, and wait until it has."""
        if not self.ended():
            os.kill(self.pid, signal.SIGTERM)
            os.waitpid(self.pid, 0)
            self.pid = 0

    def _check(self, status):
        if status:
            said = self.output.read_text(errors="replace")[-4_000:] if self.output.exists() else ""
            code = os.waitstatus_to_exitcode(status)
            raise Broken(f"{self.name} ended with {code} and was not killed; it said:\n{said}")


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
    except BaseException:
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
