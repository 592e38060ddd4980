"""All series one after the other, until as many processes have been killed as were asked for."""

from __future__ import annotations

import shutil
import signal
import sys
import time
from dataclasses import replace

from tests import kafka_broker
from tests.torture import inputs
from tests.torture.kind import Kind
from tests.torture.mutants import MUTANTS
from tests.torture.process import Broken, Process, answer
from tests.torture.series import Series

KINDS = (
    Kind("sqlite-plants", "sqlite", "plants"),
    Kind("sqlite-w", "sqlite", "w"),
    Kind("sqlite-live", "sqlite", "plants", live=True, store=True),
    Kind("sqlite-hasty", "sqlite", "plants", hasty=True),
    Kind("sqlite-command", "sqlite", "plants", command=0.8, store=True, kills=10),
    Kind("kafka-plants", "kafka", "plants", kills=15),
    Kind("kafka-w", "kafka", "w", kills=15),
    Kind("kafka-live", "kafka", "plants", live=True, store=True, kills=15),
    Kind("kafka-command", "kafka", "plants", command=0.7, kills=6),
)
SHARES = {
    "sqlite-plants": 0.30,
    "sqlite-w": 0.15,
    "sqlite-live": 0.25,
    "sqlite-hasty": 0.20,
    "sqlite-command": 0.10,
    "kafka-plants": 0.35,
    "kafka-w": 0.20,
    "kafka-live": 0.35,
    "kafka-command": 0.10,
}
"""Of the kills of each log."""
BROKER_S = 120


class Torture:
    """Makes the inputs once, runs the uninterrupted twins, then the series; ``results`` is what came of them.

    ``left_out`` names the series whose input cannot be made here: workload W's generator is not everywhere.
    """

    def __init__(self, folder, seed, records=5_000, servers="", mutant=None):
        self.folder, self.seed, self.servers = folder, seed, servers
        self.mutant = MUTANTS[mutant] if mutant else None
        self.times = inputs.Times()
        self.results = []
        self.left_out = []
        self._records, self._broker = records, None
        self._files, self._topics, self._expected = {}, {}, {}

    def run(self, kinds, kills, only=None):
        """Kill this many processes; each kind of series gets its share. ``only``: the number of one series."""
        self.left_out += [kind.name for kind in kinds if self._source(kind) is None]
        kinds = [kind for kind in kinds if kind.name not in self.left_out]
        shares = sum(SHARES[kind.name] for kind in kinds)
        for kind in kinds:
            left, number = max(round(kills * SHARES[kind.name] / shares), 1), only or 0
            while left > 0:
                result = self._series(kind, number, min(left, kind.kills))
                left -= result.kills.total()
                number += 1
                if only is not None or result.problems:
                    break

    def start_broker(self):
        """Start a broker in a process of its own, since its driver has threads."""
        told = self.folder / "servers"

        def serve(_page):
            with kafka_broker.running(brief=True) as broker:
                signal.signal(signal.SIGTERM, lambda *_: sys.exit())
                told.with_suffix(".tmp").write_text(broker.servers)
                told.with_suffix(".tmp").rename(told)
                signal.pause()

        self._broker = Process("broker", self.folder / "broker.txt", serve)
        deadline_s = time.monotonic() + BROKER_S
        while not told.exists():
            if self._broker.ended() or time.monotonic() > deadline_s:
                raise Broken("the broker did not start")
            time.sleep(0.05)
        self.servers = told.read_text()

    def close(self):
        """Stop the broker that was started."""
        if self._broker is not None:
            self._broker.stop()

    def _series(self, kind, number, kills):
        expected = self._twin(kind)
        series = self._made(kind, f"{kind.name}-{number}", f"{self.seed} {kind.name} {number}", kills)
        result = series.run()
        if not result.problems:
            result.records, result.problems = answer(series.judge, expected)
        if result.problems:
            again = f"python -m tests.torture --only {kind.name} --series {number} --seed {self.seed}"
            result.problems.append(
                f"{kind.name} {number} failed; its state was left in {series.folder}; again: {again}"
            )
        else:
            shutil.rmtree(series.folder)
        self.results.append((kind, result))
        return result

    def _twin(self, kind):
        """Return what the same input amounts to when nothing is killed; made once."""
        key = kind.log, kind.source
        if kind.comparable and key not in self._expected:
            series = self._made(replace(kind, store=False, live=False, command=0), f"twin-{'-'.join(key)}", "", 0)
            series.mutant = None
            result = series.run()
            _, problems = answer(series.judge) if not result.problems else (0, result.problems)
            if problems:
                raise Broken(f"{series.folder}: the run that nobody kills fails:\n" + "\n".join(problems))
            self._expected[key] = answer(series.outcome)
        return self._expected.get(key)

    def _made(self, kind, name, seed, kills):
        return Series(
            kind,
            seed,
            self.folder / name,
            self._source(kind),
            self.times,
            servers=self.servers,
            kills_max=kills,
            mutant=self.mutant,
        )

    def _source(self, kind):
        """Return the input of a kind, made once as files and once as topics; None where it cannot be made."""
        if kind.source not in self._files:
            if kind.source == "plants":
                made = answer(inputs.plants, self.folder, self.seed, self._records)
            else:
                made = answer(inputs.slice_of_w, self.folder)
            self._files[kind.source] = made
        files = self._files[kind.source]
        if kind.log == "sqlite" or files is None:
            return files
        if kind.source not in self._topics:
            topics = self._topics[kind.source] = inputs.at_topics(files, f"in-{self.times.now_us}.")
            answer(inputs.create, topics, self.servers)
            answer(inputs.produce, topics, self.servers)
        return self._topics[kind.source]
