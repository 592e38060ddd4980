"""The proxy itself, before a plain echo server: each fault is seen by a client."""

import contextlib
import socket
import threading
import time

import pytest

from tests.fault_proxy import HALF_OPEN, Fault, FaultProxy, reserved

SOON_S = 5
SILENCE_S = 0.3


@pytest.fixture
def received():
    """What the echo server has received so far."""
    return bytearray()


@pytest.fixture
def proxy(received):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def echo(connection):
            with connection, contextlib.suppress(OSError):
                while chunk := connection.recv(65_536):
                    received.extend(chunk)
                    connection.sendall(chunk)

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=echo, args=server.accept()[:1], daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        with FaultProxy(server.getsockname()[1]) as proxy:
            yield proxy
        server.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def connected(proxy):
    with contextlib.ExitStack() as stack:

        def connect():
            client = stack.enter_context(socket.create_connection(("127.0.0.1", proxy.port), SOON_S))
            assert asked(client, b"hello") == b"hello"
            return client

        yield connect


def asked(client, said):
    client.sendall(said)
    return heard(client, len(said))


def heard(client, count):
    answer = b""
    while len(answer) < count and (chunk := client.recv(count - len(answer))):
        answer += chunk
    return answer


def reset_at_once(proxy):
    """A connection is reset while it is made or when something is read from it."""
    with pytest.raises(ConnectionResetError), socket.create_connection(("127.0.0.1", proxy.port), SOON_S) as lost:
        lost.recv(1)


def silent(client):
    client.settimeout(SILENCE_S)
    try:
        client.recv(1)
    except TimeoutError:
        return True
    finally:
        client.settimeout(SOON_S)
    return False


def test_nothing_is_lost_without_a_fault(connected):
    client, said = connected(), bytes(range(256)) * 40_000
    threading.Thread(target=client.sendall, args=(said,)).start()
    assert heard(client, len(said)) == said
    client.shutdown(socket.SHUT_WR)
    assert client.recv(1) == b""


def test_cut(proxy, connected):
    client = connected()
    with proxy.during(Fault(ends="cut")):
        assert client.recv(1) == b""
        with socket.create_connection(("127.0.0.1", proxy.port), SOON_S) as other:
            assert other.recv(1) == b""
    connected()


def test_reset(proxy, connected):
    client = connected()
    with proxy.during(Fault(ends="reset")):
        with pytest.raises(ConnectionResetError):
            client.recv(1)
        reset_at_once(proxy)
    connected()


def test_refuse(proxy, connected):
    client = connected()
    with proxy.during(Fault(ends="refuse")):
        assert client.recv(1) == b""
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", proxy.port), SOON_S)
    connected()


def test_delay_and_jitter(proxy, connected):
    client = connected()
    with proxy.during(Fault(delay_s=0.1, jitter_s=0.05)):
        for _ in range(3):
            began = time.monotonic()
            assert asked(client, b"x") == b"x"
            assert 0.2 <= time.monotonic() - began < 1.0  # There and back.
    began = time.monotonic()
    assert asked(client, b"x") == b"x"
    assert time.monotonic() - began < 0.2


def test_delay_in_one_direction(proxy, connected, received):
    client = connected()
    with proxy.during(Fault(delay_s=0.3, delayed=frozenset({"down"}))):
        began = time.monotonic()
        client.sendall(b"x")
        time.sleep(0.1)
        assert received == b"hellox"
        assert client.recv(1) == b"x"
        assert 0.3 <= time.monotonic() - began < 0.6


def test_throttle(proxy, connected):
    client, said = connected(), bytes(10_000)
    with proxy.during(Fault(bytes_per_s=20_000)):
        began = time.monotonic()
        assert asked(client, said) == said
        assert 0.4 <= time.monotonic() - began < 2.0
    began = time.monotonic()
    assert asked(client, said) == said
    assert time.monotonic() - began < 0.2


def test_half_open_holds_back_and_delivers_later(proxy, connected, received):
    client = connected()
    with proxy.during(HALF_OPEN):
        client.sendall(b"late")
        assert silent(client)
        with socket.create_connection(("127.0.0.1", proxy.port), SOON_S) as other:  # Accepted: nobody is told.
            other.sendall(b"also late")
            assert silent(other)
            assert received == b"hello"
    assert heard(client, 4) == b"late"


def test_half_open_in_one_direction(proxy, connected, received):
    client = connected()
    with proxy.during(Fault(silent=frozenset({"down"}))):
        client.sendall(b"x")
        assert silent(client)
        assert received == b"hellox"
    assert client.recv(1) == b"x"
    with proxy.during(Fault(silent=frozenset({"up"}))):
        client.sendall(b"y")
        assert silent(client)
        assert received == b"hellox"
    assert client.recv(1) == b"y"


def test_an_end_is_held_back_too(proxy, connected):
    client = connected()
    with proxy.during(HALF_OPEN):
        client.shutdown(socket.SHUT_WR)
        assert silent(client)
    assert client.recv(1) == b""


def test_forgotten_connections_never_speak_again(proxy, connected):
    client = connected()
    with proxy.during(Fault(silent=HALF_OPEN.silent, forgotten=True)):
        assert not proxy.fault.ends
    client.sendall(b"x")
    assert silent(client)
    connected()


def test_a_target_that_is_down_resets():
    with reserved() as nothing, FaultProxy(nothing.getsockname()[1]) as proxy:
        reset_at_once(proxy)
