"""The counter as one would tell it: a row at a time, a dict of last readings, no columns."""

COUNTERS = (("good_counter", "good"), ("scrap_counter", "scrap"))


class Absurd(Exception):
    """The reading cannot be believed."""


class NaiveCounter:
    def __init__(self, policy, routes, *, by_time=False):
        self.routes = routes
        self.policy = policy
        self.by_time = by_time
        self.last = {}
        self.last_us = {}
        self.carried = {}
        self.rejected = {}

    def delta(self, key, reading):
        jump_max = float("inf") if self.policy.jump_max is None else self.policy.jump_max * 1000
        modulus = None if self.policy.rollover is None else self.policy.rollover * 1000
        if modulus is not None and reading >= modulus:
            self.rejected_now = None
            raise Absurd
        if key not in self.last:
            delta = 0 if self.policy.first_reading == "baseline" else reading
        elif reading >= self.last[key]:
            delta = reading - self.last[key]
        else:
            delta = reading
            if modulus is not None:
                way_round = reading + modulus - self.last[key]
                if way_round <= (modulus // 10 if self.policy.jump_max is None else jump_max):
                    delta = way_round
        if delta <= jump_max:
            return delta
        if key in self.rejected and 0 < reading - self.rejected[key] <= jump_max:
            return reading - self.rejected[key]
        self.rejected_now = reading
        raise Absurd

    def row(self, session, row):
        """Return (good, scrap) of the row after counting, or None if it is a fault."""
        deltas, absurd = {}, False
        for name, _ in COUNTERS:
            stale = self.by_time and row["occurred_us"] < self.last_us.get((session, name), 0)
            if row[name] >= 0 and not stale:
                try:
                    deltas[name] = self.delta((session, name), row[name])
                except Absurd:
                    absurd = True
                    if self.rejected_now is not None:
                        self.rejected[session, name] = self.rejected_now
        if absurd:
            return None
        for name, delta in deltas.items():
            self.last[session, name] = row[name]
            self.last_us[session, name] = row["occurred_us"]
            self.rejected.pop((session, name), None)
            self.carried[session, name] = self.carried.get((session, name), 0) + delta
        if self.routes[row["type"]] != "aggregated":
            return tuple(row[quantity] for _, quantity in COUNTERS)
        return tuple(row[quantity] + self.carried.pop((session, name), 0) for name, quantity in COUNTERS)
