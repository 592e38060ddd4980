"""The naive twin of the consumption: told everything at once, it finds the documents by looking through all of it."""

from __future__ import annotations


def documents(told, policy, day_of):
    """Return the documents as {causes: (plant, order, day, shift, lines, start_us, end_us)}.

    ``told`` are (event or the order that ends, its id, now_us), in the order of telling. The bounds of lines and of
    documents are beyond it; those of a line's quantity and of a document's events are not.
    """
    waiting = [
        (index, (event.plant, event.order, *day_of(event)), event, event_id, now_us)
        for index, (event, event_id, now_us) in enumerate(told)
        if not isinstance(event, str) and event.quantity
    ]
    found = {}
    while waiting:
        first, key, _, _, first_us = waiting[0]
        due_us = first_us + policy.window_us
        for order, _, end_us in told[first:]:
            if order == key[1] and end_us < due_us:
                due_us = min(due_us, end_us + policy.settle_us)
        mine, lines = [], {}
        for row in waiting:
            _, other, event, _event_id, now_us = row
            if other != key or now_us >= due_us:
                continue
            line = (event.operation, event.material, event.lot, event.unit, event.from_bin)
            mine.append(row)
            lines[line] = lines.get(line, 0) + event.quantity
            if lines[line] >= policy.line_quantity_max or len(mine) >= policy.events_max:
                break
        instants = [row[2].occurred_us for row in mine]
        found[tuple(sorted(row[3] for row in mine))] = (*key, lines, min(instants), max(instants))
        waiting = [row for row in waiting if row not in mine]
    return found
