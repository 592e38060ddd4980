"""What a history of Oracle says of a posting, held against what was booked and taken back (M17, M26, M30)."""

import orjson
from hypothesis import given
from hypothesis import strategies as st

from sinks.erp import oracle_payload
from sinks.erp.oracle_history import compared
from sinks.erp.settings import ERP_SETTINGS
from tests.conformance.erp_places import issue, movement, posting, reversal

ORACLE = ERP_SETTINGS.validate_python(
    {"kind": "oracle", "base_url": "https://erp.example.com", "user": "me", "password": "s"}
)
QUANTITIES = st.integers(0, 3).map(lambda whole: whole * 1_000 + 1 if whole else 0)
LINES = st.builds(
    movement,
    st.just("261"),
    quantity=st.integers(1, 2),
    material=st.sampled_from(["RAW-1", "RAW-2"]),
    lot=st.sampled_from(["", "L1"]),
)
POSTINGS = st.one_of(
    st.builds(lambda good, scrap, rework: posting("1", good=good, scrap=scrap, rework=rework), *[QUANTITIES] * 3),
    st.lists(LINES, min_size=1, max_size=5).map(lambda lines: issue("1", *lines)),
)


@given(POSTINGS, st.booleans(), st.lists(st.integers(0, 4), max_size=12))
def test_what_is_booked_is_what_was_not_taken_back(sent, taken_back, steps):
    """Each step books a detail that is not booked, or takes it back: as sending and its compensation do."""
    _, details = oracle_payload.details(reversal(sent) if taken_back else sent, ORACLE)
    rows, booked = [], {}
    for step in steps:
        if not details:
            break
        number = step % len(details)
        row = orjson.loads(orjson.dumps(details[number]))
        if booked.pop(number, None):
            row = oracle_payload.opposite(row)
        else:
            booked[number] = str(len(rows))
        rows.append(row | {"TransactionId": str(len(rows))})

    found = compared(details, rows)

    # Details that are alike cannot be told apart: how many of them are booked can.
    def alike(numbers):
        return sorted(orjson.dumps(details[number]) for number in numbers)

    assert alike(found) == alike(booked)
    assert len(set(found.values())) == len(found)


@given(POSTINGS.filter(lambda sent: oracle_payload.details(sent, ORACLE)[1]))
def test_what_is_none_of_the_posting_s_is_not_taken_for_it(sent):
    _, details = oracle_payload.details(sent, ORACLE)
    rows = [orjson.loads(orjson.dumps(detail)) | {"TransactionId": "1"} for detail in details]
    assert compared(details, rows) is not None
    assert compared(details, [*rows, rows[0]]) is None, "twice"
    assert compared(details, [rows[0] | {"TransactionQuantity": 99}]) is None
    assert compared(details, [oracle_payload.opposite(rows[0])]) is None, "taken back, and never made"
