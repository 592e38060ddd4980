"""The aggregate as one would tell it: a row at a time, a dict a run, no columns."""

from canonical.identity import posting_id

TEXTS = ("order", "operation", "work_center", "material", "lot", "unit")
QUANTITIES = ("good", "scrap", "rework", "setup_us", "machine_us", "labour_us", "energy_mwh")
LATE_IDLE_US = 60_000_000


class NaiveAggregate:
    def __init__(self, policy, routes, calendar):
        self.policy = policy
        self.routes = routes
        self.calendar = calendar  # row -> (shift, posting date)
        self.open = {}  # (lane, plant, source, session, work centre where runs are told apart by it) -> run
        self.confirmations = []
        self.operational = []
        self.totals = {}

    def row(self, row, now_us, *, late=False):
        session = (row["plant"], row["source"], row["session"])
        route = str(self.routes[row["type"]])
        totals = self.totals.setdefault(session, {"aggregated": 0, "analytics-only": 0, "operational": 0})
        totals[route] += 1
        if route == "operational":
            self.operational.append((*session, row["seq"]))
        if route == "aggregated":
            self.join((late, *session), row, now_us)

    def join(self, lane, row, now_us):
        apart = not lane[0] and "work_center" in self.policy.split_by
        key = (*lane, row["work_center"] if apart else None)
        others = [other for other in self.open if other[:-1] == lane and other != key]
        others.sort(key=lambda other: self.open[other]["rows"][-1]["seq"])
        while apart and len(others) >= self.policy.open_max:
            oldest = others.pop(0)
            self.close(oldest, "key" if self.open[oldest]["first"]["gaps"] == row["gaps"] else "gap")
        shift, date = self.calendar(row)
        seen = {"shift": shift, "date": date.strftime("%Y-%m-%d"), "rework": row["type"] == "rework"}
        run = self.open.get(key)
        if run is not None and (reason := self.ends(key, run, row, seen)):
            self.close(key, reason)
            run = None
        if run is None:
            run = self.open[key] = {"first": row, "seen": seen, "reason": "", "rows": []}
        run["rows"].append(row)
        run["arrived_us"] = now_us
        if "reason" in self.policy.split_by:
            run["reason"] = row["reason"] or run["reason"]
        if row["type"] == "complete" and self.policy.complete_closes:
            self.close(key, "complete", final=True)

    def ends(self, key, run, row, seen):
        split_by, first = self.policy.split_by, run["first"]
        if row["gaps"] != first["gaps"] or (key[0] and row["seq"] != run["rows"][-1]["seq"] + 1):
            return "gap"
        if any(row[name] != first[name] for name in TEXTS if name in split_by):
            return "key"
        if "reason" in split_by and row["reason"] and run["reason"] and row["reason"] != run["reason"]:
            return "key"
        if "rework" in split_by and seen["rework"] != run["seen"]["rework"]:
            return "key"
        if "shift" in split_by and (seen["shift"], seen["date"]) != (run["seen"]["shift"], run["seen"]["date"]):
            return "shift"
        if self.policy.bucket_s is not None:
            bucket_us = round(self.policy.bucket_s * 1_000_000)
            if row["occurred_us"] // bucket_us != first["occurred_us"] // bucket_us:
                return "time"
        if self.policy.count_max is not None and len(run["rows"]) >= self.policy.count_max:
            return "count"
        return None

    def close(self, key, reason, *, final=False):
        run = self.open.pop(key)
        late, plant, source, session, _ = key
        first, rows = run["first"], run["rows"]
        kind = "supplementary" if late else "confirmation"
        self.confirmations.append(
            {
                "posting_id": str(posting_id(plant, source, session, first["seq"], kind, 0)),
                "kind": kind,
                "revision": 0,
                "plant": plant,
                "source": source,
                "session": session,
                "first_seq": first["seq"],
                "last_seq": rows[-1]["seq"],
                **{name: first[name] for name in TEXTS},
                "unit": first["unit"] or "H87",
                "reason": run["reason"],
                "shift": run["seen"]["shift"],
                "posting_date": run["seen"]["date"],
                **{name: sum(row[name] for row in rows) for name in QUANTITIES},
                "events": len(rows),
                "first_occurred_us": first["occurred_us"],
                "last_occurred_us": rows[-1]["occurred_us"],
                "first_offset": min(row["offset"] for row in rows),
                "last_offset": max(row["offset"] for row in rows),
                "final": final,
                "close_reason": reason,
            }
        )

    def wake(self, now_us):
        idle_us = None if self.policy.idle_s is None else round(self.policy.idle_s * 1_000_000)
        for key, run in list(self.open.items()):
            wait_us = LATE_IDLE_US if key[0] and idle_us is None else idle_us
            if wait_us is not None and run["arrived_us"] + wait_us <= now_us:
                self.close(key, "idle")
