"""Lines under fuzz: CSV in three dialects and encodings, fixed width in two, SHDR."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from tests.fuzz import damage_text, seeds
from tests.fuzz.decode_target import DecodeTarget
from tests.fuzz.targets import Target

_TEXTS = ("L1", "", "ä", "😀", "4711", "a b", "0")


def _commas(rng: Random) -> bytes:
    when = rng.choice(
        ("2026-03-03T07:00:00Z", "2026-03-03T07:00:00", "2026-03-03 07:00:00.123456", "2026-03-03T07:00+0100")
    )
    text = rng.choice(("", '"a, b"', '"say ""x"""', "plain", '""'))
    kind = rng.choice(("partial", "scrap", ""))
    cells = (
        "M-1",
        "b",
        str(rng.randrange(3_000)),
        when,
        kind,
        rng.choice(_TEXTS),
        rng.choice(_TEXTS),
        text,
        "1.5",
        "17",
    )
    return ",".join(cells).encode()


def _tabs(rng: Random) -> bytes:
    when = rng.choice(("1772539200", "1772539200.5", "1772539200,25"))
    cells = (
        when,
        "M-1",
        rng.choice(("partial", "scrap")),
        rng.choice(("1,5", "0", "")),
        "0,001",
        "2,5",
        f"'id {rng.randrange(99)}'",
    )
    return "\t".join(cells).encode()


def _columns(rng: Random) -> bytes:
    when = rng.choice(("2026-03-03 07:00:00.5+0100", "2026-03-03 07:00:00.12345Z", "2026-03-03 07:00:00.0+00:00"))
    machine, good = rng.choice(("M-1", "MÄ-2", "😀")), rng.choice(("1,5", "12", ""))
    line = f"{when:<26}{machine:<8}{rng.randrange(9999):>7}{good:>9}{'KGM':<4}"
    return (line + rng.choice(("", " " * 10, "note"))).encode()


def _punched(rng: Random) -> bytes:
    when = rng.choice(("03-Mar-26 11:00:00", "3-Mar-26 1:00:00", "03-MAR-26 23:59:59"))
    return f"{'M-1':<6}{when:<18}{rng.choice(('SCR', 'Stö'))}{rng.choice(('1.5', '0', '')):>6}".encode("cp1252")


def targets() -> Mapping[str, Target]:
    commas, tabs = seeds.own_plant("commas"), seeds.own_plant("tabs")
    assert commas.csv is not None
    header = ",".join(commas.csv.columns).encode()
    legacy = seeds.simulated("B")
    adapter = (*seeds.simulated("M"), *seeds.fixtures("shdr/*")[:80])
    made = {name: [make(Random(i)) for i in range(40)] for name, make in (
        ("commas", _commas), ("tabs", _tabs), ("columns", _columns), ("punched", _punched)
    )}  # fmt: skip
    made["commas"].append(header)
    foreign = (*legacy[:20], *made["commas"][:5], *made["columns"][:5])
    return {
        "csv-b": DecodeTarget(
            seeds.shipped_plant("B"), legacy, damage_text.damage(b";", b'"', legacy[0]), 1.2, donors=foreign
        ),
        "csv-commas": DecodeTarget(
            commas, made["commas"], damage_text.damage(b",", b'"', header), 1.2, donors=foreign, fresh=_commas
        ),
        "csv-tabs": DecodeTarget(tabs, made["tabs"], damage_text.damage(b"\t", b"'"), 0.8, donors=foreign, fresh=_tabs),
        "fixed-columns": DecodeTarget(
            seeds.own_plant("columns"),
            made["columns"],
            damage_text.damage(b" ", fixed=True),
            0.8,
            donors=foreign,
            fresh=_columns,
        ),
        "fixed-punched": DecodeTarget(
            seeds.own_plant("punched"),
            made["punched"],
            damage_text.damage(b" ", fixed=True),
            0.6,
            donors=foreign,
            fresh=_punched,
        ),
        "shdr-m": DecodeTarget(seeds.shipped_plant("M"), adapter, damage_text.damage(b"|"), 1.0, donors=foreign),
    }
