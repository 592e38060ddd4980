"""The kernel that takes a partition's messages, on queues made here; with librdkafka's in tests/e2e."""

from __future__ import annotations

import ctypes
import types

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dataflows.sources import partition_queue
from dataflows.sources.partition_queue import PartitionQueue

LIBRARY = partition_queue._library()
pytestmark = pytest.mark.skipif(LIBRARY is None, reason="the kernel is not compiled: no C compiler here")
PARTITION_END, FAILED = -191, -195


class Message(ctypes.Structure):
    """``rd_kafka_message_t``."""

    _fields_ = (
        ("err", ctypes.c_int),
        ("topic", ctypes.c_void_p),
        ("partition", ctypes.c_int32),
        ("payload", ctypes.c_void_p),
        ("length", ctypes.c_size_t),
        ("key", ctypes.c_void_p),
        ("key_length", ctypes.c_size_t),
        ("offset", ctypes.c_int64),
        ("own", ctypes.c_void_p),
    )


POINTER, SIZE = ctypes.c_void_p, ctypes.c_size_t
Consume = ctypes.CFUNCTYPE(ctypes.c_ssize_t, POINTER, ctypes.c_int, ctypes.POINTER(POINTER), SIZE)
Destroy = ctypes.CFUNCTYPE(None, ctypes.POINTER(Message))
GetHeaders = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(Message), ctypes.POINTER(POINTER))
GetHeader = ctypes.CFUNCTYPE(
    ctypes.c_int, POINTER, SIZE, ctypes.POINTER(ctypes.c_char_p), ctypes.POINTER(POINTER), ctypes.POINTER(SIZE)
)


Epoch = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.POINTER(Message))
NO_EPOCH = -1


class Queue:
    """A queue in memory that gives what librdkafka's functions would: (error, value, key, headers), by offset.

    ``batched`` says which messages came in a record batch, where the number of headers follows the value.
    """

    def __init__(self, told, portions, batched=()):
        self.kept, self.messages, self.headers, self.destroyed, self.asked = [], [], [], [], []
        self.batched = [*batched, *[False] * len(told)][: len(told)]
        for offset, (error, value, key, headers) in enumerate(told):
            behind = bytes([2 * len(headers)]) if self.batched[offset] else b""  # a zigzag number; nothing is empty
            message = Message(error, None, 0, *self.memory(value, behind), *self.memory(key), offset, None)
            self.messages.append(message)
            self.headers.append([(name.encode(), value) for name, value in headers])
        self.given, self.portions = 0, portions
        self.calls = {
            "rd_kafka_consume_batch_queue": Consume(self.consume),
            "rd_kafka_message_destroy": Destroy(lambda message: self.destroyed.append(message[0].offset)),
            "rd_kafka_message_headers": GetHeaders(self.headers_of),
            "rd_kafka_header_get_all": GetHeader(self.header),
            "rd_kafka_message_leader_epoch": Epoch(lambda m: 7 if self.batched[m[0].offset] else NO_EPOCH),
        }

    def memory(self, value, behind=b""):
        if value is None:
            return None, 0
        self.kept.append(ctypes.create_string_buffer(value + behind, len(value + behind) or 1))
        return ctypes.addressof(self.kept[-1]), len(value)

    def consume(self, _queue, _timeout_ms, found, size):
        portion = min(self.portions.pop(0) if self.portions else 10**9, size, len(self.messages) - self.given)
        for i in range(portion):
            found[i] = ctypes.addressof(self.messages[self.given + i])
        self.given += portion
        return portion

    def headers_of(self, message, found):
        self.asked.append(message[0].offset)
        if not self.headers[message[0].offset]:
            return -156  # RD_KAFKA_RESP_ERR__NOENT
        found[0] = message[0].offset + 1
        return 0

    def header(self, headers, index, name, value, size):
        mine = self.headers[headers - 1]
        if index >= len(mine):
            return -156
        name[0] = mine[index][0]
        value[0], size[0] = self.memory(mine[index][1])
        return 0

    def opened(self, *, in_place=True):
        rdkafka = types.SimpleNamespace(**self.calls, rd_kafka_queue_destroy=lambda _queue: None)
        return PartitionQueue(partition_queue._Library(LIBRARY.take, LIBRARY.let_go, rdkafka, in_place), 1, "t", 0)


bytes_or_none = st.none() | st.binary(max_size=30)
names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=5)
headers = st.lists(st.tuples(names, bytes_or_none), max_size=3)
messages = st.tuples(st.just(0), bytes_or_none, bytes_or_none, headers)
ends = st.just((PARTITION_END, None, None, []))


@given(
    st.lists(st.one_of(messages, messages, ends), max_size=40),
    st.lists(st.integers(1, 5), max_size=20),
    st.integers(1, 7),
    st.sampled_from([(1, 1), (40, 40), (1 << 20, 1 << 20)]),
    st.lists(st.booleans(), max_size=40),
    st.booleans(),
)
@example([(0, b"x" * 5000, b"k" * 900, [("a", b"y" * 700)])] * 3, [], 5, (64, 64), [True], True)
def test_every_message_comes_once_in_order_and_whole(told, portions, rows_max, room, batched, in_place):
    """However the queue gives them, however small the room is (M28: keys and headers as they were)."""
    queue = Queue(told, portions, batched)
    opened = queue.opened(in_place=in_place)
    found, polls = [], 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(partition_queue, "BATCH_BYTES", room[0])
        patch.setattr(partition_queue, "EXTRA_BYTES", room[1])
        while queue.given < len(told) or len(queue.destroyed) < len(told):
            polls += 1
            raw = opened.take(rows_max)
            assert len(raw) <= rows_max
            assert opened._taking.values_used <= opened._taking.values_size
            assert opened._taking.extras_used <= opened._taking.extras_size
            found += [
                (offset, raw.value(row), raw.keys[row], raw.headers[row])
                for row, offset in enumerate(raw.offsets.tolist())
            ]
            assert raw.data.count(b"\n") >= len(raw) - 1
    assert found == [
        (offset, value or b"", key, tuple((name, value or b"") for name, value in headers))
        for offset, (error, value, key, headers) in enumerate(told)
        if not error
    ]
    assert queue.destroyed == list(range(len(told)))
    last = told[-1][0] if told else 0
    assert opened.end() == (len(told) - 1 if last == PARTITION_END else None)
    assert opened.error() is None
    opened.close()


@given(st.integers(0, 5), st.integers(0, 5), st.sampled_from([b"Broker: no", b"", b"x" * 2000, None]))
def test_an_error_stops_the_taking_and_says_what_the_library_said(before, after, text):
    plain = (0, b"v", None, [])
    queue = Queue([plain] * before + [(FAILED, text, None, [])] + [plain] * after, [])
    opened = queue.opened()
    assert len(opened.take(100)) == before
    error = opened.error()
    assert error is not None
    assert error.code() == FAILED
    assert error.str() == (text or b"")[:511].decode() or not text
    assert not len(opened.take(100))
    assert queue.destroyed == list(range(before + 1))
    opened.close()
    assert queue.destroyed == list(range(before + 1 + after))


@pytest.mark.parametrize("in_place", [True, False])
def test_only_who_may_have_headers_is_asked_for_them(in_place):
    """The byte behind a value says that there are none, where there is such a byte."""
    told = [(0, value, b"k", []) for value in (b"first", b"v", b"", None, b"old")] + [(0, b"v", b"k", [("a", b"1")])]
    queue = Queue(told, [], [True, True, True, True, False, True])
    opened = queue.opened(in_place=in_place)
    raw = opened.take(9)
    assert [raw.headers[row] for row in range(len(told))] == [()] * 5 + [(("a", b"1"),)]
    assert queue.asked == ([0, 2, 3, 4, 5] if in_place else [0, 1, 2, 3, 4, 5])
    opened.close()


def test_a_byte_that_lies_is_not_believed_again():
    """As in a release of librdkafka whose messages point elsewhere."""
    lying = (0, b"v", None, [("a", b"1")])
    queue = Queue([lying] * 4, [2, 2], [True] * 4)
    for message in queue.messages:  # the byte behind
        ctypes.memset(message.payload + message.length, 0, 1)
    opened = queue.opened()
    raw = opened.take(9)
    assert [raw.headers[row] for row in range(4)] == [(("a", b"1"),)] * 4
    assert queue.asked == [0, 1, 2, 3]
    opened.close()


def test_what_was_fetched_before_a_restart_is_forgotten():
    queue = Queue([(0, b"v", None, [])] * 9, [9])
    opened = queue.opened()
    assert len(opened.take(4)) == 4
    opened.restart()
    assert queue.destroyed == list(range(9))
    assert not len(opened.take(4))
    opened.close()


def test_an_object_that_is_no_consumer_is_not_believed():
    """Nothing is called with an address that only looks like one."""
    assert partition_queue._handle([1, 2, 3]) is None
    assert partition_queue._handle(2**61) is None
    assert partition_queue._handle(b"#consumer-1") is None
