"""A signal that ends a flow leaves the batch in hand whole, whatever library is at work on it."""

import io
import os
import signal
import threading

import pyarrow as pa
import pyarrow.csv
import pytest

from dataflows.cli.run import _stop_on_signals


@pytest.fixture
def _handlers():
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)
    pa.enable_signal_handlers(True)


@pytest.mark.usefixtures("_handlers")
def test_sigterm_while_csv_is_read_stops_the_flow_and_not_the_reading():
    stop = threading.Event()
    _stop_on_signals(stop)
    data = b"a,b\n" + b"1,2\n" * 2_000_000
    threading.Timer(0.02, lambda: os.kill(os.getpid(), signal.SIGTERM)).start()
    rows = 0
    while not stop.is_set():
        rows = pyarrow.csv.read_csv(io.BytesIO(data)).num_rows
    assert rows == 2_000_000
