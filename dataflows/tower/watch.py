"""What the pages show, looked at in the background: once for everybody, however many look.

Law: looking takes at most a part of the time (``LOOK_SHARE``), whatever it costs, so a tower never eats the machine
of the flows; what could not be looked at stays as it was, with the reason and its age.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from dataflows.health.health import examined
from dataflows.health.shard_health import Finding, ShardHealth
from dataflows.settings import Settings
from dataflows.tower.box import Box, BoxWatch
from dataflows.tower.figures import Figures, figures, published
from sinks.commit_log import PlantsyncError

LOGGER: Final = logging.getLogger("plantsync")
LOOK_SHARE: Final = 0.2
"""Part of the time that a look may take: after a long one the next comes later."""


@dataclass(frozen=True, slots=True)
class Health:
    """What was found of flows and ERPs, and when."""

    at_us: int = 0
    findings: tuple[Finding, ...] = ()
    shards: tuple[ShardHealth, ...] = ()
    problem: str = ""

    def read_all(self) -> bool:
        """Return whether the store lacked nothing of the log then."""
        stored = [shard for shard in self.shards if shard.flow == "analytics"]
        return bool(stored) and all(shard.behind == 0 for shard in stored)


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything that is known at one time. ``number`` grows with every picture that differs."""

    number: int = 0
    at_us: int = 0
    figures: Figures = field(default_factory=lambda: Figures(0))
    box: Box = field(default_factory=Box)
    box_at_us: int = 0
    health: Health = field(default_factory=Health)
    problems: tuple[str, ...] = ()

    def as_of_us(self) -> int:
        """Return up to when what was committed is in the figures of the store."""
        return max(self.figures.published_us, self.health.at_us if self.health.read_all() else 0)


class Watch:
    """Two threads that look: at store and log often, at flows and ERPs now and then."""

    def __init__(self, settings: Settings, clock: Callable[[], int], changed: Callable[[], None] | None = None) -> None:
        """Look at nothing yet. Args: changed: is called by another thread when there is a new picture."""
        self._settings, self._clock = settings, clock
        self.changed = changed or _nobody
        self._picture = Picture()
        self._lock = threading.Lock()
        self._done = False
        self._soon, self._later = threading.Event(), threading.Event()
        self._box = BoxWatch(settings)
        self._threads: list[threading.Thread] = []

    @property
    def picture(self) -> Picture:
        """Return the newest picture."""
        return self._picture

    def start(self) -> None:
        """Look once at store and log, then begin to look in the background."""
        self._look()
        tower = self._settings.tower
        for look, wait_s, soon in (
            (self._look, tower.refresh_s, self._soon),
            (self._look_at_health, tower.health_interval_s, self._later),
        ):
            thread = threading.Thread(target=self._again_and_again, args=(look, wait_s, soon), daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """End both threads."""
        self._done = True
        self._soon.set()
        self._later.set()
        for thread in self._threads:
            thread.join(30)
        self._box.close()

    def soon(self) -> None:
        """Look at store and log without waiting: somebody has just decided something."""
        self._soon.set()

    def _again_and_again(self, look: Callable[[], None], wait_s: float, soon: threading.Event) -> None:
        while not self._done:
            began_us = self._clock()
            look()
            took_s = (self._clock() - began_us) / 1e6
            soon.wait(max(wait_s, took_s * (1 / LOOK_SHARE - 1)))
            soon.clear()

    def _look(self) -> None:
        """Look at the exceptions, and at the store where another snapshot is published."""
        before, problems = self._picture, []
        box, stored, box_at_us = before.box, before.figures, before.box_at_us
        try:
            box = self._box.look(None if before.number == 0 else box)
            box_at_us = self._clock()
        except PlantsyncError as error:
            problems.append(f"exceptions: {error}")
        try:
            if published(self._settings.store.published) != stored.published_us or stored.published_us == 0:
                stored = figures(self._settings.store.published, self._clock())
        except PlantsyncError as error:
            problems.append(str(error))
        except Exception:  # A watch that dies silently would show old figures for ever.
            LOGGER.exception("the control tower could not look at the store")
            problems.append("the store could not be looked at; the log of this server says why")
        self._put(box=box, figures=stored, problems=tuple(problems), box_at_us=box_at_us)

    def _look_at_health(self) -> None:
        now_us = self._clock()
        try:
            findings, shards = examined(self._settings, self._clock)
            health = Health(now_us, tuple(findings), tuple(shards))
        except Exception as error:  # As above.
            LOGGER.exception("the control tower could not look at the flows")
            health = replace(self._picture.health, problem=f"flows could not be looked at: {type(error).__name__}")
        self._put(health=health)

    def _put(
        self,
        *,
        box: Box | None = None,
        figures: Figures | None = None,
        health: Health | None = None,
        problems: tuple[str, ...] | None = None,
        box_at_us: int | None = None,
    ) -> None:
        with self._lock:
            old = self._picture
            new = Picture(
                number=old.number,
                at_us=self._clock(),
                figures=old.figures if figures is None else figures,
                box=old.box if box is None else box,
                box_at_us=old.box_at_us if box_at_us is None else box_at_us,
                health=old.health if health is None else health,
                problems=old.problems if problems is None else problems,
            )
            differs = (
                old.number == 0
                or new.figures is not old.figures
                or new.box is not old.box
                or new.health is not old.health
                or new.problems != old.problems
            )
            self._picture = replace(new, number=old.number + differs)
        if differs:
            self.changed()


def _nobody() -> None:
    """Tell nobody."""
