"""Children at work: tasks handed out, the dead and the hanging noticed, started anew, and their input named."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.fuzz.seeds import ROOT

Task = Mapping[str, Any]
"""Target, seed and index of a batch with the number of its messages, or the messages themselves."""

BATCH_S_MAX = 90.0
"""A batch that has not answered by then hangs; far above what a loaded machine needs."""
STARTING_S_MAX = 120.0


class Child:
    """One process; a new one takes its place when it dies."""

    def __init__(self, batch_s_max: float = BATCH_S_MAX) -> None:
        self._batch_s_max = batch_s_max
        self._process: subprocess.Popen[str] | None = None
        self._said: Any = None

    def ask(self, task: Task) -> dict[str, Any]:
        """Return the answer; that of a child which dies or hangs says so under ``found``."""
        if self._process is None:
            self._start()
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()
        answer, hung = self._line(self._batch_s_max)
        if answer:
            parsed: dict[str, Any] = json.loads(answer)
            return parsed
        code = self._process.wait()
        self._said.seek(0)
        last = self._said.read()[-600:].strip()
        self.close()
        how = f"hang: no answer in {self._batch_s_max:g} s" if hung else f"crash: the process ended with {code}: {last}"
        return {
            "found": how,
            "messages": task.get("count", 0),
            "bytes": 0,
            "tally": {},
            "seconds": 0.0,
            "cpu_s": 0.0,
            "peak": 0,
            "rss": 0,
        }

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout, self._said):
                assert pipe is not None
                pipe.close()
        self._process = None

    def _start(self) -> None:
        self._said = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - closed with the process
        command = [sys.executable, "-W", "error", "-m", "tests.fuzz.child"]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, text=True
        )
        if not self._line(STARTING_S_MAX)[0]:
            self._said.seek(0)
            raise RuntimeError(f"the fuzzer's child does not start:\n{self._said.read()}")

    def _line(self, seconds_max: float) -> tuple[str, bool]:
        """Return the next line, empty when the process has ended, and whether it had to be ended."""
        process, hung = self._process, threading.Event()
        assert process is not None
        assert process.stdout is not None

        def end() -> None:
            hung.set()
            process.kill()

        timer = threading.Timer(seconds_max, end)
        timer.start()
        try:
            return process.stdout.readline(), hung.is_set()
        finally:
            timer.cancel()


def run(tasks: Iterator[Task], jobs: int, done: Callable[[Task, Mapping[str, Any]], None]) -> None:
    """Have the tasks worked off by so many children and tell ``done`` of each, one at a time."""
    lock, stopped = threading.Lock(), threading.Event()

    def work() -> None:
        child = Child()
        try:
            while not stopped.is_set():
                with lock:
                    task = next(tasks, None)
                if task is None:
                    return
                answer = child.ask(task)
                with lock:
                    done(task, answer)
        finally:
            child.close()

    with ThreadPoolExecutor(jobs) as workers:
        working = [workers.submit(work) for _ in range(jobs)]
        try:
            for each in working:
                each.result()
        finally:
            stopped.set()


def encoded(values: Sequence[bytes]) -> list[str]:
    """Return messages as a task carries them."""
    return [value.decode("latin-1") for value in values]
