"""The naive twin of the audit's last hops: row by row, with lists, straight from the laws."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from canonical.identity import document_name
from tests.chain_world import Row, World, event_name

Told = tuple[str, str | None, str | None]
"""Kind, posting id, document where the finding is one about documents."""
FINAL = {"ruled-out", "not-counted", "discarded", "superseded"}


def findings(world: World) -> set[Told]:
    """Return what is wrong from confirmation to document; ``world`` has one plant, one ERP and its marks."""
    postings = list({row["posting_id"]: row for row in reversed(world.posting)}.values())[::-1]
    unposted = {(row["cause"], row["kind"]): row for row in world.unposted}
    told = set(_queue(world, postings)) | set(_confirmations(world, postings, unposted))
    told |= set(_movements(world, postings)) | set(_receipts(world, postings)) | set(_documents(world, postings))
    return told


def role(posting: Row) -> str:
    """Return what a posting is of, as its id says."""
    cause = posting["causes"][0] if posting["causes"] else ""
    named = {
        "confirmation": {"made": cause, "end": f"final:{cause}"},
        "goods-receipt": {"receipt": cause},
        "stock-transfer": {"transfer": cause, "move": f"move/{cause}"},
        "goods-issue": {"issue": f"consumption/{cause}"},
        "reversal": {"reversal": posting["reverses"]},
    }
    for name, of in named[posting["kind"]].items():
        if posting["posting_id"] == document_name(posting["plant"], of, posting["kind"], posting["operation"]):
            return name
    return "unnamed"


def _queue(world: World, postings: list[Row]) -> Iterator[Told]:
    for name, count in Counter(row["posting_id"] for row in world.posting).items():
        if count > 1:
            yield "DOUBLE", name, None
    for order in {row["order"] for row in postings}:
        numbers = {row["number"] for row in postings if row["order"] == order}
        if numbers != set(range(max(numbers) + 1)):
            yield "HOLE", None, None
    for row in postings:
        if role(row) == "unnamed":
            yield "ALTERED", row["posting_id"], None


def _confirmations(world: World, postings: list[Row], unposted: dict[tuple[str, str], Row]) -> Iterator[Told]:
    known = {row["posting_id"] for row in world.confirmation}
    for c in world.confirmation:
        name = c["posting_id"]
        made = [row for row in postings if role(row) == "made" and row["causes"][0] == name]
        word = unposted.get((name, "confirmation"))
        if not made and word is None and c["stream_offset"] <= world.read:
            yield "HOLE", name, None
        if made and word is not None and word["state"] in FINAL:
            yield "DOUBLE", min(row["posting_id"] for row in made), None
        if word is not None and any(word[each] != c[each] for each in ("good", "scrap", "rework")):
            yield "ALTERED", name, None
        if made and not _amounts_to(c, made):
            yield "ALTERED", min(row["posting_id"] for row in made), None
        if made and not c["order"] and not _told_of(world, c, made):
            yield "UNACCOUNTED", min(row["posting_id"] for row in made), None
    for row in postings:
        if role(row) in {"made", "end", "receipt", "transfer"} and row["causes"][0] not in known:
            yield "UNACCOUNTED", row["posting_id"], None


def _amounts_to(c: Row, made: list[Row]) -> bool:
    """Whether one posting is the confirmation, and the others have let all of it pass."""
    total = c["good"] + c["scrap"] + c["rework"]
    wholes = {row["good"] + row["scrap"] + row["rework"] for row in made}
    own = Counter({name: c[name] for name in ("good", "scrap", "rework")})
    own["good"] += (len(made) - 1) * total
    sums = Counter({name: sum(row[name] for row in made) for name in ("good", "scrap", "rework")})
    if len(wholes) > 1 or sum(row.get("machine_us", 0) for row in made) != c["machine_us"]:
        return False
    orders = {row["order"] for row in made}
    return sums == own and (orders == {c["order"]} or (not c["order"] and len(orders) == 1))


def _told_of(world: World, c: Row, made: list[Row]) -> bool:
    """Whether an event that is cited has told of the order at the work centre, before the first piece was made."""
    events = {event_name(row): row for row in world.event if row["type"] in {"start", "resume", "pause", "downtime"}}
    cited = [events.get(row["causes"][-1]) for row in made]
    return all(
        each is not None
        and (each["order"], each["work_center"]) == (row["order"], c["work_center"])
        and each["occurred_us"] <= c["first_occurred_us"]
        for each, row in zip(cited, made, strict=True)
    )


def _movements(world: World, postings: list[Row]) -> Iterator[Told]:
    events = {event_name(row): row for row in world.event}
    by_id = {row["posting_id"]: row for row in postings}
    for row in postings:
        name, what = row["posting_id"], role(row)
        moved = sum(line["quantity"] for line in row["movements"])
        if what in {"receipt", "transfer"}:
            wanted = "made" if what == "receipt" else "receipt"
            before = [
                each["good"] for each in postings
                if role(each) == wanted and each["causes"] == row["causes"] and each["operation"] == row["operation"]
            ]  # fmt: skip
            if not before:
                yield "UNACCOUNTED", name, None
            elif (row["good"], moved) != (before[0], before[0]):
                yield "ALTERED", name, None
        elif what == "reversal":
            original = by_id.get(row["reverses"])
            same = ("good", "scrap", "rework", "unit", "order")
            if original is None:
                yield "UNACCOUNTED", name, None
            elif any(original[each] != row[each] for each in same) or moved != sum(
                line["quantity"] for line in original["movements"]
            ):
                yield "ALTERED", name, None
        elif what in {"issue", "move"} and moved != sum(events[cause]["quantity"] for cause in row["causes"]):
            yield "ALTERED", name, None


def _receipts(world: World, postings: list[Row]) -> Iterator[Told]:
    by_id = {row["posting_id"]: row for row in postings}
    settled = {row["posting_id"] for row in world.receipt if row["status"] in {"accepted", "withdrawn"}}
    accepted = {row["posting_id"]: row for row in world.receipt if row["status"] == "accepted"}
    complained = {row["posting_id"] for row in world.business_exception}
    for row in world.receipt:
        name = row["posting_id"]
        if name not in by_id:
            yield "UNACCOUNTED", name, None
        elif row["order"] != by_id[name]["order"]:
            yield "ALTERED", name, None
        if row["status"] == "rejected" and name not in complained:
            yield "HOLE", name, None
    for name, count in Counter(
        r["posting_id"] for r in world.receipt if r["status"] in {"accepted", "withdrawn"}
    ).items():
        if count > 1 and name in by_id:
            yield "DOUBLE", name, None
    for names in _named(world).values():
        yield from (("DOUBLE", name, None) for name in names if name != names[0])
    for row in postings:
        name = row["posting_id"]
        later = any(
            each["order"] == row["order"] != "" and each["number"] > row["number"] and each["posting_id"] in accepted
            for each in postings
        )
        done = row["stream_offset"] <= world.delivered and name not in world.held
        if name not in settled and (later or done):
            yield "HOLE", name, None
        if role(row) == "reversal" and name in accepted:
            original = accepted.get(row["reverses"])
            if original is None:
                yield "HOLE", name, None
            elif accepted[name]["reverses"] not in {"", original["document"]}:
                yield "ALTERED", name, None


def _documents(world: World, postings: list[Row]) -> Iterator[Told]:
    by_id = {row["posting_id"]: row for row in postings}
    accepted = {row["posting_id"]: row["document"] for row in world.receipt if row["status"] == "accepted"}
    refused = {row["posting_id"] for row in world.receipt} - accepted.keys()
    named = {number: names[0] for number, names in _named(world).items() if len(set(names)) == 1}
    linked: dict[str, set[str]] = {}
    for number in {row["document"] for row in world.document}:
        (carried,) = {row["posting_id"] for row in world.document if row["document"] == number}
        name = named.get(number, carried)
        if name not in by_id and number not in named:
            yield "UNACCOUNTED", name, number
        else:
            linked.setdefault(name, set()).add(number)
    for name, numbers in linked.items():
        if name not in by_id:
            continue
        if name in refused:
            yield from (("UNACCOUNTED", name, number) for number in numbers)
        if name in accepted and len(numbers) > 1:
            yield from (("DOUBLE", name, number) for number in numbers if named.get(number) != name)
        lines = [row for row in world.document if row["document"] in numbers]
        if not _says(by_id[name], lines):
            yield "ALTERED", name, ", ".join(sorted(numbers))
    for name, number in accepted.items():
        if name in by_id and name not in linked and world.document:
            yield "HOLE", name, number


def _named(world: World) -> dict[str, list[str]]:
    """Return the postings whose receipts name each document, in the order of the receipts."""
    named: dict[str, list[str]] = {}
    for row in world.receipt:
        if row["status"] == "accepted":
            named.setdefault(row["document"], []).append(row["posting_id"])
    return named


def _says(posting: Row, lines: list[Row]) -> bool:
    if any(row["order_id"].lstrip("0") != posting["order"] for row in lines):
        return False
    if posting["movements"]:
        return sum(row.get("quantity", 0) for row in lines) == sum(line["quantity"] for line in posting["movements"])
    return all(sum(row.get(name, 0) for row in lines) == posting[name] for name in ("good", "scrap", "rework"))
