"""A plant nobody has seen: 200 records of a press shop in two forms, with the truth of what was made.

Cumulative counters per press, decimal commas, local time, two kinds of records, records numbered per press.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta

RECORDS = 200
PRESSES = ("P1", "P2", "P3", "P4")
HEADER = (
    "Satzart;Presse;Lfd. Nr.;Datum/Zeit;FA-Nr.;Arbeitsgang;Teile-Nr.;Charge;"
    "Zählerstand gut;Zählerstand NIO;ME;Störgrund"
)
FIRST = datetime(2026, 3, 2, 5, 40)  # noqa: DTZ001 - as the plant writes it


@dataclass
class Truth:
    """Thousandths of good and scrap by order, from a press's first reading on."""

    good: dict[str, int] = field(default_factory=dict)
    scrap: dict[str, int] = field(default_factory=dict)
    stops: int = 0
    repeated: int = 0


@dataclass
class Press:
    name: str
    unit: str
    number: int = 0
    good: int = 0
    scrap: int = 0
    orders: int = 0

    @property
    def order(self) -> str:
        return f"7{self.name[1]}00{self.orders:02d}"


def rows(seed: int = 5) -> tuple[list[list[str]], Truth]:
    """Return the records, cell by cell, and the truth."""
    dice, truth = random.Random(seed), Truth()
    presses = [Press(name, "kg" if i == 3 else "Stk", good=dice.randrange(9_000_000)) for i, name in enumerate(PRESSES)]
    at, out, known = FIRST, [], set()
    while len(out) < RECORDS - 4:
        press = dice.choice(presses)
        at += timedelta(seconds=dice.randrange(40, 400))
        press.number += 1
        stop = dice.random() < 0.12
        if dice.random() < 0.06:
            press.orders += 1
        if not stop:
            step = dice.randrange(1, 40) * (1_000 if press.unit == "Stk" else 125)
            lost = 1_000 * (dice.random() < 0.2)
            press.good, press.scrap = press.good + step, press.scrap + lost
            if press.name in known:
                truth.good[press.order] = truth.good.get(press.order, 0) + step
                truth.scrap[press.order] = truth.scrap.get(press.order, 0) + lost
            known.add(press.name)
        truth.stops += stop
        out.append([
            "ST" if stop else "RM", press.name, str(press.number), at.strftime("%d.%m.%Y %H:%M:%S"), press.order,
            "0010", f"T-{press.name}4711", f"C{press.orders:03d}", "" if stop else number(press.good),
            "" if stop else number(press.scrap), press.unit, dice.choice(("Werkzeug", "Öl fehlt")) if stop else "",
        ])  # fmt: skip
    out += out[20:24]  # dropped again
    truth.repeated = 4
    return out, truth


def number(thousandths: int) -> str:
    return f"{thousandths // 1000},{thousandths % 1000:03d}"


def as_csv(records: list[list[str]]) -> bytes:
    return "\r\n".join([HEADER, *(";".join(row) for row in records), ""]).encode("cp1252")


WIDTHS = (3, 3, 5, 20, 7, 5, 8, 5, -10, -8, 4, 8)
"""Characters of each column; negative: the text stands on the right."""


def as_fixed(records: list[list[str]]) -> bytes:
    return "".join("".join(map(placed, record, WIDTHS)) + "\n" for record in records).encode("latin-1")


def placed(cell: str, width: int) -> str:
    return f"{cell:>{-width - 1}} " if width < 0 else f"{cell:<{width}}"
