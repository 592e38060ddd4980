"""When to kill: at a random instant of a run, or at one chosen by what the process is doing.

Much of a run is quick and little of it is a commit, so most kills are aimed: into the start and the
restore, into the handing over of a commit, into the call that decides it. How long these take is learned
from the runs before.
"""

from __future__ import annotations

from collections import deque
from statistics import median

from tests.torture.place import IN_COMMIT, Place

PATIENCE_S = 20.0
"""A run that never gets to where it is to be killed is killed after this."""
KINDS = {"anywhere": 6, "start": 1, "restore": 2, "commit": 5, "decision": 5}
OF_A_COMMAND = {"start": 2, "seen": 3}
OF_ANALYTICS = {"anywhere": 3, "start": 1, "commit": 3, "decision": 3, "publication": 3}


class Learned:
    """How long a run takes to its first commit, and a commit; of the runs seen last."""

    def __init__(self, first_commit_s, commit_s):
        self._first = deque([first_commit_s], 15)
        self._commit = deque([commit_s], 15)

    def from_page(self, page):
        if page.first_commit_s is not None:
            self._first.append(page.first_commit_s)
        if page.commit_s:
            self._commit.append(page.commit_s)

    @property
    def first_commit_s(self):
        return median(self._first)

    @property
    def commit_s(self):
        return median(self._commit)


class Aim:
    """Decides once, when the process is started, and then says when it is due."""

    def __init__(self, rng, learned, kinds):
        (self.kind,) = rng.choices(list(kinds), kinds.values())
        self._share = rng.random()
        self._nth = min(int(rng.expovariate(0.4)), 12)
        self._learned = learned
        self._since_s = None

    @property
    def near(self):
        """Whether the process is where it is to be killed: now it must be asked all the time."""
        return self._since_s is not None

    def due(self, page):
        """Return whether the process is to be killed now; asked as often as possible."""
        if page.age_s > PATIENCE_S:
            return True
        first_s, commit_s = self._learned.first_commit_s, self._learned.commit_s
        match self.kind:
            case "anywhere":
                return page.age_s >= self._share * (2 * first_s + 50 * commit_s)
            case "start":
                return page.age_s >= self._share * first_s
            case "restore":
                return self._after(page, page.place > Place.STARTING, 0.5 * first_s)
            case "commit":
                reached = page.commits >= self._nth and page.place in IN_COMMIT
                return self._after(page, reached, 0.5 * commit_s)
            case "decision":
                reached = page.commits >= self._nth and page.place == Place.COMMITTING
                return self._after(page, reached, 0.1 * commit_s)
            case "seen":
                return self._after(page, page.commits > self._nth, 0.3)
            case "publication":
                return self._after(page, page.place == Place.PUBLISHING or page.commits > 10, 0.01)
        raise AssertionError(self.kind)

    def _after(self, page, reached, seconds):
        if self._since_s is None:
            if not reached:
                return False
            self._since_s = page.age_s
        return page.age_s - self._since_s >= self._share * seconds
