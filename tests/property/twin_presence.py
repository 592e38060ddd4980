"""The naive twin of presence: asks of every instant, by itself and among all marks, who is at the work centre."""

from __future__ import annotations


def at(marks, operation, first_us, last_us, interval_us):
    """Return the order and operation there at every instant, or why there is none: "nobody" or "several".

    ``marks`` are (at_us, id, type, order, operation) of one work centre, in any order.
    """
    answers = [there(marks, operation, at_us, interval_us) for at_us in range(first_us, last_us + 1)]
    for answer in answers:
        if not isinstance(answer, tuple):
            return answer
        if answer != answers[0]:
            return "several"
    return answers[0]


def there(marks, operation, at_us, interval_us):
    told = sorted(mark for mark in marks if at_us - interval_us < mark[0] <= at_us)
    if operation:
        told = [mark for mark in told if mark[4] in ("", operation)]
    works = {(mark[3], mark[4]) for mark in told if mark[2] != "complete"}
    runs, stopped = set(), set()
    for work in works:
        own = [mark for mark in told if (mark[3], mark[4]) == work or (mark[2:] == ("complete", work[0], ""))]
        if own[-1][2] in ("start", "resume"):
            runs.add(work)
        elif own[-1][2] in ("pause", "downtime"):
            stopped.add(work)
    found = runs or stopped
    if not found:
        return "nobody"
    return next(iter(found)) if len(found) == 1 else "several"
