"""Laws of the desk: the naive twin, indifference, conservation, numbers, restart, one ERP each (DESIGN 1, 3, 4, 7).

Requirements M10-M13, M19, M25, M33, M41, A15; acceptance of issue D: arrival order shuffled 1,000 ways.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from datetime import date

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from canonical.contracts import Confirmation, Event, OrderOperation
from dataflows.processors.posting.policy import PostingPolicy
from dataflows.processors.posting.presence import AttributionPolicy
from tests.postings_world import (
    HOUR_US,
    NOW_US,
    Plant,
    action,
    confirmation,
    lot,
    material,
    order,
    period,
    reason,
    route,
    step,
    word,
    work_center,
)
from tests.property.twin_postings import Twin, content, said

TIMEOUT_US = 24 * HOUR_US
ATTRIBUTED = PostingPolicy(attribution=AttributionPolicy(frozenset({"A"})))
OPERATIONS = tuple(OrderOperation(operation=f"00{n}0", work_center=f"W{n}") for n in (1, 2, 3))
COUNTED = (
    OPERATIONS[0].model_copy(update={"counting_sources": ("m0", "m1")}),
    OPERATIONS[1],
    OPERATIONS[2].model_copy(update={"counting_sources": ("m2",)}),
)
MILESTONE = (OPERATIONS[0], OPERATIONS[1].model_copy(update={"confirmed_by": "0030"}), OPERATIONS[2])
WAVE = (route(valid_to_us=NOW_US), route("south", valid_from_us=NOW_US, erp_plant="S1"))

orders = st.sampled_from(["1", "2", "3"])


@st.composite
def words(draw):
    """Draw one word of any input; the keys are few, so that they meet."""
    match draw(st.sampled_from("cccccccceoooommlrrwwpps")):
        case "c":
            seq = draw(st.integers(0, 400))
            return confirmation(
                seq,
                draw(st.sampled_from(["0010", "0020", "0030", ""])),
                draw(st.sampled_from([0, 1_000, 2_000, 30_000])),
                f"m{seq % 4}",
                order=draw(orders),
                work_center=draw(st.sampled_from(["W1", "W2", "W3", "CELL"])),
                lot=draw(st.sampled_from(["L1", "L2", ""])),
                scrap=draw(st.sampled_from([0, 0, 500])),
                reason=draw(st.sampled_from(["", "R1", "R2"])),
                unit=draw(st.sampled_from(["H87", "H87", "DZN", "KGM"])),
                last_occurred_us=NOW_US + draw(st.sampled_from([-2, 2])),
                posting_date=date(2026, draw(st.sampled_from([10, 11])), 14),
            )
        case "e":
            kind = draw(st.sampled_from(["hold", "release", "release"]))
            quality = draw(st.sampled_from(["", "reject"]))
            of = draw(st.sampled_from(["M", ""]))
            return word(
                kind, draw(st.sampled_from(["L1", "L2"])), of, NOW_US + draw(st.integers(0, 3)), quality=quality
            )
        case "o":
            return order(
                draw(orders),
                draw(st.sampled_from(["created", "released", "released", "released", "locked"])),
                changed_us=draw(st.integers(0, 1_000_000)),
                erp=draw(st.sampled_from(["north", "south"])),
                operations=draw(st.sampled_from([OPERATIONS, OPERATIONS[1:], MILESTONE, COUNTED])),
                counting_sources=draw(st.sampled_from([(), (), ("m1", "m2", "m3")])),
            )
        case "m":
            flags = {"inspected": draw(st.booleans()), "lot_managed": draw(st.booleans())}
            return material(changed_us=draw(st.integers(0, 1_000_000)), **flags)
        case "l":
            return lot(
                draw(st.sampled_from(["L1", "L2"])),
                status=draw(st.sampled_from(["valid", "not-valid"])),
                changed_us=draw(st.integers(0, 10**6)),
            )
        case "r":
            return draw(st.sampled_from([*WAVE, reason("R1"), reason("R2", erp_reason="0002")]))
        case "w":
            return work_center(draw(st.sampled_from(["W1", "W2", "W3"])))
        case "p":
            return period(
                draw(st.sampled_from([10, 11, 12])),
                draw(st.sampled_from(["north", "south"])),
                open_=draw(st.booleans()),
                changed_us=draw(st.integers(0, 10**6)),
            )
        case _:
            return step(
                "CELL",
                draw(st.sampled_from([("0010", "0020"), ("0030",), ()])),
                erp_work_center=draw(st.sampled_from(["", "W3"])),
                changed_us=draw(st.integers(0, 10**6)),
            )


BASIS = [
    order("1", operations=OPERATIONS),
    order("2", operations=MILESTONE),
    material(),
    *WAVE,
    period(),
    period(erp="south"),
]
BASIS += [work_center(f"W{n}") for n in (1, 2, 3)]
FOR_EVER = [record for record in BASIS if record.kind != "route"] + [route(changed_us=0)]
"""Nothing of it depends on the instant, so that what was looked up is known again."""
waits = st.sampled_from([0, 0, 0, HOUR_US, TIMEOUT_US])
days = st.lists(st.tuples(words(), waits), max_size=60)


def kept(days_, *, distinct=True):
    """Return the words, of confirmations that have the same range only the first."""
    seen = set()
    for told, wait_us in days_:
        if distinct and isinstance(told, Confirmation):
            if told.posting_id in seen:
                continue
            seen.add(told.posting_id)
        yield told, wait_us


@given(st.sampled_from([[], BASIS, FOR_EVER]), days)
@settings(max_examples=300, deadline=None)
def test_the_desk_posts_what_the_naive_twin_posts(basis, days_):
    plant, twin = Plant(told=[]), Twin(TIMEOUT_US)
    for told, wait_us in [*((record, 0) for record in basis), *kept(days_)]:
        plant.now_us += wait_us
        plant.desk.wake(plant.now_us)
        twin.wake(plant.now_us)
        plant.tell(told)
        twin.tell(told, plant.now_us)
        assert Counter(map(said, plant.postings)) == Counter(map(content, twin.documents))
    waiting = [what for _, what in twin.waiting]
    assert plant.desk.queues.size == len(waiting)
    assert Counter(plant.not_counted()) == Counter(twin.not_counted)
    balanced(plant)


def balanced(plant):
    """See that nothing is lost, nothing is twice, and that numbers have no holes."""
    counts, queues = plant.desk.counts, plant.desk.queues
    held = sum(not case.derived for line in queues for case in queues.cases(line))
    fates = ("posted", "ruled out", "not counted", "discarded", "copies", "superseded", "refused")
    assert counts["offered"] == held + sum(counts[fate] for fate in fates)
    numbers = defaultdict(list)
    for posting in plant.postings:
        numbers[posting.erp, posting.plant, posting.order].append(posting.number)
    assert all(given == list(range(len(given))) for given in numbers.values())
    assert len({posting.posting_id for posting in plant.postings}) == len(plant.postings)


deeds = st.lists(
    st.tuples(st.sampled_from(["release", "discard", "reprocess", "reverse"]), st.integers(0, 10**6)), max_size=8
)


@given(st.sampled_from([BASIS, FOR_EVER]), days, deeds, st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_a_restart_at_any_commit_changes_nothing(basis, days_, deeds_, chance):
    """Decisions of people and revisions among it; what is not committed is told again."""
    script = [(told, wait_us) for told, wait_us in days_]
    for deed in deeds_:
        script.insert(chance.randint(0, len(script)), (deed, 0))
    whole, cut = Plant(told=[]), Plant(told=[])
    for plant in (whole, cut):
        steps = random.Random(0)
        for record in basis:
            plant.tell(record)
        for number, (told, wait_us) in enumerate(script):
            plant.now_us += wait_us
            plant.desk.wake(plant.now_us)
            plant.tell(decided(plant, told, number) if isinstance(told, tuple) else revised(told, number))
            stop = steps.random() < 0.3
            plant.commit()
            if stop and plant is cut:
                plant.restart()
                plant.desk.wake(plant.now_us)
        plant.commit()
        balanced(plant)
    assert whole.values == cut.values
    assert whole.exceptions == cut.exceptions
    assert whole.parts == cut.parts


def revised(told, number):
    """Return every fifth confirmation as a correction of what was confirmed under its range."""
    if isinstance(told, Confirmation) and number % 5 == 0:
        fields = told.model_dump(exclude={"posting_id", "first_seq", "last_seq", "operation", "good", "source"})
        return confirmation(told.first_seq, told.operation, told.good, told.source, **{**fields, "revision": number})
    return told


def decided(plant, deed, number):
    """Return what a person decides about what is there."""
    kind, which = deed
    if kind == "reverse":
        posting = plant.postings[which % len(plant.postings)].posting_id if plant.postings else ""
        return action(kind, number, posting_id=str(posting))
    told = plant.open()
    return action(kind, number, exception_id=str(told[which % len(told)].exception_id) if told else "")


@given(days)
@settings(max_examples=100, deadline=None)
def test_the_value_of_a_posting_is_of_its_contract_and_tells_no_time_of_ours(days_):
    values = []
    for later_us in (0, 7_000_000):
        plant = Plant(told=[])
        plant.now_us += later_us
        for told in [*BASIS, *(told for told, _ in kept(days_))]:
            plant.tell(told)
        values.append(plant.values)
        for posting, value in zip(plant.postings, plant.values, strict=True):
            assert value == posting.model_dump_json().encode()
    assert values[0] == values[1]


def a_day():
    """Return what arrives in a day, from all inputs, such that in the end nothing is left waiting but one order."""
    told = [work_center(f"W{n}") for n in (1, 2, 3)]
    told += [material(inspected=True, lot_managed=True), material("N"), reason("R1"), reason("R2", erp_reason="0002")]
    told += [route(valid_to_us=NOW_US), route("south", valid_from_us=NOW_US, erp_plant="S1")]
    told += [period(m, erp, open_=m != 10) for m in (10, 11, 12) for erp in ("north", "south")]
    told += [
        lot("L1"),
        lot("L2", status="not-valid"),
        lot("L2", changed_us=5),
        step("CELL", ("0010", "0020"), erp_work_center="W1"),
    ]
    told += [
        word("hold", "L1", at_us=NOW_US),
        word("release", "L1", at_us=NOW_US + 1),
        word("release", "L2", material=""),
    ]
    for erp in ("north", "south"):
        for name, operations, made in (("1", OPERATIONS, "M"), ("2", MILESTONE, "M"), ("3", OPERATIONS[1:], "N")):
            for status, changed_us in (("created", 1), ("released", 2)):
                told.append(order(name, status, changed_us=changed_us, erp=erp, operations=operations, material=made))
    told.append(order("9", "created", changed_us=1))
    made = [
        *(("1", "0010", 9_000, {}) for _ in range(3)),
        *(("1", "0020", 6_000, {"scrap": 1_000, "reason": "R1"}) for _ in range(4)),
        *(("1", "0030", 5_000, {"lot": f"L{n % 2 + 1}", "reason": "R2"}) for n in range(4)),
        ("1", "", 2_000, {"work_center": "CELL", "scrap": 500}),
        *(("2", operation, 3_000, {}) for operation in ("0010", "0020", "0030", "0030", "0010")),
        *(("3", operation, 24_000, {"material": "N", "lot": ""}) for operation in ("0020", "0030")),
        ("3", "0020", 1_000, {"material": "N", "lot": "", "unit": "DZN"}),
        *(("9", "0010", 1_000, {}) for _ in range(3)),
    ]
    for seq, (name, operation, good, fields) in enumerate(made, 1):
        given_ = {
            "work_center": f"W{operation[2:3]}",
            "lot": "L1",
            "posting_date": date(2026, 10 + seq % 2, 20),
            **fields,
        }
        for at_us in (NOW_US - 3, NOW_US + 3):
            source = f"machine-{seq}-{at_us}"
            told.append(confirmation(seq, operation, good, source, order=name, last_occurred_us=at_us, **given_))
    # A machine that knows no order counts while order 1 is at its work centre, and while it gives way to order 2.
    told += [work_center("W7"), present("start", "1", NOW_US - 90), present("downtime", "1", NOW_US - 60)]
    told += [present("complete", "1", NOW_US - 40), present("start", "2", NOW_US - 40)]
    spans = ((-90, -70), (-65, -55), (-41, -35), (-34, 3))
    for n, (begin, end) in enumerate(spans):
        at = {"first_occurred_us": NOW_US + begin, "last_occurred_us": NOW_US + end}
        told.append(confirmation(n, "", 1_000, "counter", order="", work_center="W7", lot="L1", **at))
    # Each ERP has its own order, so what it tolerates is asked there; here it is plenty. Of each order a terminal
    # counts the same pieces again, which only who is named keeps out.
    machines = tuple(dict.fromkeys(r.source for r in told if isinstance(r, Confirmation)))
    told += [confirmation(n, "0030", 9_000, "terminal", order=f"{n}") for n in (1, 2, 3)]
    ours = {"quantity": 10**9, "counting_sources": machines}
    return [r.model_copy(update=ours) if getattr(r, "kind", "") == "order" else r for r in told]


def present(type_, name, at_us):
    """Return what the plant's MES says of an order at work centre W7."""
    about = {"plant": "A", "source": "mes", "type": type_, "order": name, "operation": "0010", "work_center": "W7"}
    return Event(**about, occurred_us=at_us, seq=at_us)


def posted_in(arrivals):
    plant = Plant(ATTRIBUTED, told=[])
    for told in arrivals:
        plant.tell(told)
    plant.later(ATTRIBUTED.attribution.settle_us)
    balanced(plant)
    waiting = [case.draft for line in plant.desk.queues for case in plant.desk.queues.cases(line)]
    assert len(waiting) == 7
    assert {draft.order for draft in waiting if not draft.unattributed} == {"9"}
    assert "ORDER_AMBIGUOUS" in plant.codes()
    assert len(set(plant.not_counted())) == 3
    return {
        value.replace(b'"number":%d,' % p.number, b"") for p, value in zip(plant.postings, plant.values, strict=True)
    }


def test_the_same_documents_in_whatever_order_inputs_arrive_1000_ways():
    arrivals = a_day()
    first = posted_in(arrivals)
    assert len(first) == 57
    kinds = Counter(orjson.loads(value)["kind"] for value in first)
    assert kinds["goods-receipt"] == 14
    for seed in range(1_000):
        random.Random(seed).shuffle(arrivals)
        assert posted_in(arrivals) == first, f"seed {seed}"


def test_a_wave_leaves_no_posting_out_and_posts_none_twice():
    arrivals = a_day()
    confirmations = [told for told in arrivals if isinstance(told, Confirmation) and told.order != "9"]
    plant = Plant(PostingPolicy(quality_timeout_us=HOUR_US), told=arrivals)
    plant.take()
    erps = defaultdict(set)
    for posting in plant.postings:
        erps[posting.causes].add(posting.erp)
    assert all(len(each) == 1 for each in erps.values())
    for told in confirmations:
        if (str(told.posting_id),) in erps:
            assert erps[str(told.posting_id),] == {"north" if told.last_occurred_us < NOW_US else "south"}


def test_quantities_balance_per_order_and_operation():
    arrivals = a_day()
    plant = Plant(told=arrivals)
    plant.take()
    told, posted = Counter(), Counter()
    for record in arrivals:
        if (
            isinstance(record, Confirmation)
            and record.operation
            and record.order != "9"
            and record.source != "terminal"
        ):
            told[record.order, record.operation] += record.good * (12 if record.unit == "DZN" else 1)
    for posting in plant.postings:
        if posting.kind == "confirmation":
            posted[posting.order, posting.operation] += posting.good
    told["1", "0010"] += 2 * 2_500  # The cell's completions let all of it pass the first of their two steps,
    told["1", "0020"] += 2 * 2_000  # and only what is good the second.
    del told["2", "0020"]  # The milestone confirms it.
    assert posted == told
