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


class Queue:
    """A queue in memory that gives what librdkafka's functions would: (error, value, key, headers), by offset."""

    def __init__(self, told, portions):
        self.kept, self.messages, self.headers, self.destroyed = [], [], [], []
        for offset, (error, value, key, headers) in enumerate(told):
            message = Message(error, None, 0, *self.memory(value), *self.memory(key), offset, None)
            self.messages.append(message)
            self.headers.append([(name.encode(), value) for name, value in headers])
        self.given, self.portions = 0, portions
        self.calls = {
            "rd_kafka_consume_batch_queue": Consume(self.consume),
            "rd_kafka_message_destroy": Destroy(lambda message: self.destroyed.append(message[0].offset)),
            "rd_kafka_message_headers": GetHeaders(self.headers_of),
            "rd_kafka_header_get_all": GetHeader(self.header),
        }

    def memory(self, value):
        if value is None:
            return None, 0
        self.kept.append(ctypes.create_string_buffer(value, len(value) or 1))
        return ctypes.addressof(self.kept[-1]), len(value)

    def consume(self, _queue, _timeout_ms, found, size):
        portion = min(self.portions.pop(0) if self.portions else 10**9, size, len(self.messages) - self.given)
        for i in range(portion):
            found[i] = ctypes.addressof(self.messages[self.given + i])
        self.given += portion
        return portion

    def headers_of(self, message, found):
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

    def opened(self):
        rdkafka = types.SimpleNamespace(**self.calls, rd_kafka_queue_destroy=lambda _queue: None)
        return PartitionQueue(partition_queue._Library(LIBRARY.take, LIBRARY.let_go, rdkafka), 1, "t", 0)


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
)
@example([(0, b"x" * 5000, b"k" * 900, [("a", b"y" * 700)])] * 3, [], 5, (64, 64))
def test_every_message_comes_once_in_order_and_whole(told, portions, rows_max, room):
    """However the queue gives them, however small the room is (M28: keys and headers as they were)."""
    queue = Queue(told, portions)
    opened = queue.opened()
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
