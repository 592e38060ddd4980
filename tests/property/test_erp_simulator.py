"""Laws of the simulated ERP: the fold of its entries, undone units, the token bucket, faults by subject."""

from collections import Counter
from dataclasses import asdict

from hypothesis import given
from hypothesis import strategies as st

from dataflows.erp_simulator import movement_types as types
from dataflows.erp_simulator.book import Book
from dataflows.erp_simulator.document import DocumentKind
from dataflows.erp_simulator.erp import Erp, Late
from dataflows.erp_simulator.faults import Fault, FaultProfile, Schedule
from dataflows.erp_simulator.ledger import Ledger
from dataflows.erp_simulator.posting import Confirmation, GoodsMovement, Movement, Reversal
from dataflows.erp_simulator.refusal import Refused
from dataflows.erp_simulator.throttle import Bucket, Limit
from tests.erp_world import NOW_US, TODAY, master_data

DATA = master_data()
QUANTITIES = st.integers(-3_000, 60_000)
CONFIRM = st.builds(
    Confirmation,
    order=st.sampled_from(["1000020", "1000021", "2000000"]),
    operation=st.sampled_from(["0010", "0020", ""]),
    posting_date=st.just(TODAY),
    yield_quantity=QUANTITIES,
    scrap_quantity=st.sampled_from([0, 0, 500, -500]),
    final=st.booleans(),
    external_id=st.sampled_from(["", "a", "b", "c"]),
    lot=st.sampled_from(["", "L1"]),
)
MOVE = st.builds(
    lambda kind, quantity, lot: GoodsMovement(
        (Movement(kind, "RESIN", quantity, "KG", plant="1010", storage_location="RM01", lot=lot, order="1000020"),),
        TODAY,
    ),
    st.sampled_from(["101", "102", "261", "262", "321", "343", "344", "553", "999"]),
    st.integers(0, 5_000),
    st.sampled_from(["R1", "N1", "N2"]),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("confirm"), CONFIRM, st.sampled_from([None, Late(5), Late(5, 5)])),
        st.tuples(st.just("move"), MOVE, st.none()),
        st.tuples(st.just("reverse"), st.integers(0, 20), st.none()),
        st.tuples(st.just("wake"), st.integers(1, 10), st.none()),
    ),
    max_size=25,
)


def _run(steps, ledger, data):
    book = Book(data, lambda entries: ledger.append("x", entries))
    erp = Erp(book)
    now_us = NOW_US
    for what, value, late in steps:
        before = _seen(book)
        try:
            if what == "confirm":
                erp.confirm(value, now_us, late)
            elif what == "move":
                erp.move(value, now_us)
            elif what == "reverse":
                known = book.documents[value % len(book.documents)].number if book.documents else "none"
                erp.reverse(Reversal(known), now_us)
            else:
                now_us += value
                erp.wake(now_us)
        except Refused:
            assert _seen(book) == before
    return book


def _seen(book):
    """Everything a client could find out."""
    return {
        "documents": [asdict(d) for d in book.documents],
        "stocks": {k: v for k, v in book.stocks.items() if v},
        "confirmed": {k: v for k, v in book.confirmed.items() if v},
        "received": {k: v for k, v in book.received.items() if v},
        "withdrawn": {k: v for k, v in book.withdrawn.items() if v},
        "finals": {k: v for k, v in book.finals.items() if v},
        "lots": {k: v for k, v in book.lots.items() if v},
        "external": {k: list(v) for k, v in book.by_external.items() if v},
        "orders": {k: list(v) for k, v in book.by_order.items() if v},
        "reversed": dict(book.reversed_by),
        "open": {k: asdict(v) for k, v in book.open.items()},
        "inspections": dict(book.inspections),
    }


@given(STEPS, st.booleans())
def test_a_book_is_the_fold_of_its_entries(steps, negative):
    data = DATA.model_copy(update={"negative_stock_allowed": negative})
    ledger = Ledger(None)

    book = _run(steps, ledger, data)
    restored = Book(data, lambda _: None)
    restored.restore(ledger.read("x"))

    assert _seen(restored) == _seen(book)
    assert restored.due_us() == book.due_us()


@given(STEPS, st.booleans())
def test_sums_follow_from_the_documents_alone(steps, negative):
    data = DATA.model_copy(update={"negative_stock_allowed": negative})
    book = _run(steps, Ledger(None), data)

    confirmed, received, stock = Counter(), Counter(), Counter()
    for document in book.documents:
        if document.kind is DocumentKind.CONFIRMATION:
            sign = -1 if document.reverses else 1
            confirmed[document.order, document.operation] += sign * document.yield_quantity
        for line in document.lines:
            received[line.order] += {"101": 1, "102": -1}.get(line.movement_type, 0) * line.quantity
            stock[line.material] += (
                {"1": 1, "5": -1, "2": -1, "3": 0}[line.movement_type[0]]
                * line.quantity
                * (1 if line.movement_type in types.FORWARD else -1)
            )
    opening = Counter()
    for s in data.stocks:
        opening[s.material] += s.quantity_thousandths
    held = Counter()
    for key, quantity in book.stocks.items():
        held[key[0]] += quantity

    assert {k: v for k, v in confirmed.items() if v} == {
        (o, p): v for (o, p, made), v in book.confirmed.items() if made == "yield" and v
    }
    assert {k: v for k, v in received.items() if v} == {k: v for k, v in book.received.items() if v}
    assert {m: opening[m] + stock[m] for m in held} == dict(held)
    assert all(0 <= v <= 110_000 for (_, _, made), v in book.confirmed.items() if made == "yield")
    if not negative:
        assert min(book.stocks.values()) >= 0
    external = [d.external_id for d in book.documents if d.external_id]
    assert len(external) == len(set(external))


@given(st.lists(st.integers(0, 3_000_000), max_size=60), st.floats(0.5, 20), st.integers(1, 10))
def test_no_interval_lets_more_through_than_the_bucket_allows(gaps_us, rate, burst):
    bucket = Bucket(Limit(rate, burst))
    at_us, passed = 0, []
    for gap_us in gaps_us:
        at_us += gap_us
        if bucket.take(at_us) == 0:
            passed.append(at_us)

    for first in range(len(passed)):
        for last in range(first, len(passed)):
            span_s = (passed[last] - passed[first]) / 1e6
            assert last - first + 1 <= burst + rate * span_s + 1e-6
    assert len(passed) + bucket.refused == len(gaps_us)


@given(st.lists(st.sampled_from("abcdef"), max_size=30), st.randoms(use_true_random=False))
def test_faults_do_not_depend_on_the_order_of_others(subjects, shuffle):
    def faults(order):
        schedule = Schedule(7, "sap", FaultProfile(rates=dict.fromkeys(Fault, 0.05)))
        met, drawn = Counter(), {s: [] for s in "abcdef"}
        for subject in order:
            fault = schedule.draw(subject, met[subject], "", "", frozenset(Fault))
            met[subject] += fault is not None
            drawn[subject].append(fault.fault if fault else None)
        return drawn

    other = list(subjects)
    shuffle.shuffle(other)

    assert faults(subjects) == faults(other)
