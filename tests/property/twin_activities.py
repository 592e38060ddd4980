"""The naive twin of the activities: asks of every unit of time, by itself, whom the work centre worked for."""

from __future__ import annotations

STOPS = ("pause", "downtime")


def attributed(marks, unit_us, interval_max_us):
    """Return {instant: (order, operation, "setup" or "run")} for each unit of time that is attributed.

    ``marks`` are (at_us, id, type, order, operation, is_setup) of one work centre, in any order.
    """
    marks = sorted(marks)
    if not marks:
        return {}
    found = {}
    for at_us in range(marks[0][0], marks[-1][0] + interval_max_us + unit_us, unit_us):
        doing = whom(marks, at_us, interval_max_us)
        if doing is not None:
            found[at_us] = doing
    return found


def whom(marks, at_us, interval_max_us):
    begun, centre = {}, "run"
    for mark_us, _, kind, order, operation, is_setup in marks:
        if mark_us > at_us:
            break
        forget(begun, mark_us, interval_max_us)
        state = "setup" if is_setup and kind != "complete" else "stopped" if kind in STOPS else "run"
        if kind == "complete":
            state = "done"
        if not order:
            centre = "run" if state == "done" else state
        elif state == "run":
            centre = "run"
        for work in [(order, operation)] if order else list(begun) if state == "done" else []:
            if work not in begun and state == "stopped":
                continue
            was, since_us, _ = begun.get(work, ("stopped", None, None))
            if state in ("run", "setup") and was not in ("run", "setup"):
                since_us = mark_us
            begun[work] = (state, since_us, mark_us)
    forget(begun, at_us, interval_max_us)
    active = [(since_us, work, state) for work, (state, since_us, _) in begun.items() if state in ("run", "setup")]
    if not active or centre == "stopped":
        return None
    _, work, state = max(active)
    return (*work, centre if centre == "setup" else state)


def forget(begun, at_us, interval_max_us):
    for work in [work for work, (_, _, last_us) in begun.items() if last_us + interval_max_us <= at_us]:
        del begun[work]
