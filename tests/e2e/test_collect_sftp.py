"""Files of a real OpenSSH server, fetched into a drop folder, with kills of all amid a transfer (A17, M03)."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

import asyncssh
import pytest

from dataflows.collectors.refusals import Refusals
from dataflows.collectors.sftp import SftpFiles
from dataflows.collectors.sftp_settings import SftpCollector
from dataflows.sources.errors import AnswerUnusable, SourceUnavailable
from tests.collect_site import CollectSite, until
from tests.e2e.test_collect_webhook import MAPPING
from tests.fault_proxy import HALF_OPEN, NONE, Fault, FaultProxy
from tests.peers.sftp_server import SftpServer

READERS: list[SftpFiles] = []
BIG_BYTES = 200 << 20


class Clock:
    now_us = 1_796_000_000_000_000

    def __call__(self) -> int:
        self.now_us += 10_000_000
        return self.now_us


@pytest.fixture(scope="module")
def running():
    peer = SftpServer()
    yield peer
    peer.close()


@pytest.fixture
def server(running):
    for path in running.folder.iterdir():
        path.unlink()
    yield running
    while READERS:
        READERS.pop().close()


def fetching(server: SftpServer, folder: Path, position: str | None = None, state=None, **more) -> SftpFiles:
    own = {"host": "127.0.0.1", "port": server.port, "user": server.user, "path": str(server.folder), "into": "drop"}
    keys = {"known_hosts": server.known_hosts, "key_file": server.key}
    section = SftpCollector(**{"protocol": "sftp", "settle_s": 0, "every_s": 1, **own, **keys, **more})
    reader = SftpFiles(section, "line", folder, Clock(), Refusals())
    reader.seek(position, state or {})
    READERS.append(reader)
    return reader


def entries(reader: SftpFiles, polls: int = 4) -> list[dict]:
    found = []
    for _ in range(polls):
        raw = reader.poll()
        found += [json.loads(raw.value(row)) for row in range(len(raw))]
    reader.close()
    return found


def landed(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_files_land_whole_in_the_order_of_their_times_and_with_an_entry(server, tmp_path):
    big = os.urandom(3 << 20)
    server.put("b.jsonl", big, 1_795_000_001)
    server.put("a.jsonl", b"", 1_795_000_002)
    server.put("ä ö.jsonl", b"{}\n", 1_795_000_000)
    reader = fetching(server, tmp_path / "drop")
    assert [each["landed"] for each in entries(reader)] == ["ä ö.jsonl", "b.jsonl", "a.jsonl"]
    assert landed(tmp_path / "drop") == {"ä ö.jsonl": b"{}\n", "b.jsonl": big, "a.jsonl": b""}
    assert (tmp_path / "drop/b.jsonl").stat().st_mtime == 1_795_000_001
    server.put("b.jsonl", b"more", 1_795_000_009)
    (entry,) = entries(reader)
    assert entry == {
        "landed": "b.jsonl", "size": 4, "mtime": 1_795_000_009, "sha256": hashlib.sha256(b"more").hexdigest()
    }  # fmt: skip


def test_what_is_being_written_or_none_of_ours_is_left_alone(server, tmp_path):
    for name in (".hidden", "a.tmp", "a.part", "a.filepart", "a.txt"):
        server.put(name, b"x")
    server.put("grows.jsonl", b"1")
    (server.folder / "link.jsonl").symlink_to("/etc/passwd")
    reader = fetching(server, tmp_path / "drop", pattern="*.jsonl", settle_s=35)
    for number in range(8):  # 10 s and more between two looks
        server.put("grows.jsonl", b"1" * number, 1_795_000_000 + number)
        assert entries(reader, 1) == []
    assert [each["landed"] for each in entries(reader, 8)] == ["grows.jsonl"]
    assert landed(tmp_path / "drop") == {"grows.jsonl": b"1" * 7}


def test_a_restart_before_or_after_the_commit_fetches_nothing_again(server, tmp_path):
    for number in range(6):
        server.put(f"{number}.jsonl", b"%d" % number, 1_795_000_000 + number)
    told, position, state = [], None, {}
    for step in range(8):
        reader = fetching(server, tmp_path / "drop", position, state)
        told += entries(reader, 1)
        position, state = reader.position(), {**state, **reader.state()}
        lost = fetching(server, tmp_path / "drop", position, state)  # killed before its commit
        entries(lost, 1 + step % 2)
    assert [each["landed"] for each in told] == [f"{number}.jsonl" for number in range(6)]
    files = [path.stat().st_ino for path in sorted((tmp_path / "drop").iterdir())]
    assert len(files) == 6
    entries(fetching(server, tmp_path / "drop"), 8)
    assert [path.stat().st_ino for path in sorted((tmp_path / "drop").iterdir())] == files
    (tmp_path / "drop/0.jsonl").unlink()  # somebody has moved it away after it was read
    assert entries(fetching(server, tmp_path / "drop", position, state)) == []


def test_a_file_that_is_too_long_or_one_too_many_is_refused(server, tmp_path):
    server.put("long", b"x" * 101)
    server.put("short", b"x" * 100)
    reader = fetching(server, tmp_path / "drop", file_bytes_max=100, files_max=2)
    refused, taken = entries(reader)
    assert (refused["refused"], refused["code"], taken["landed"]) == ("long", "OVERSIZE", "short")
    server.put("third", b"")
    with pytest.raises(AnswerUnusable, match="more than 2 files"):
        entries(reader)
    where = f"127.0.0.1:{server.port}"
    assert [(each.code, each.detail, each.piece) for each in reader._refusals.due(0)] == [
        ("OVERSIZE", f"{where}: 'long', 101 bytes", b"long"),
        ("FLOODED", f"{where}: more than 2 files in {str(server.folder)!r}", b""),
    ]


def test_only_the_server_whose_key_is_known_is_trusted(server, tmp_path):
    other = tmp_path / "known_hosts"
    asyncssh.generate_private_key("ssh-ed25519").write_public_key(tmp_path / "other.pub")
    for text in ("", f"[127.0.0.1]:{server.port} {(tmp_path / 'other.pub').read_text()}"):
        other.write_text(text)
        reader = fetching(server, tmp_path / "drop", known_hosts=other)
        with pytest.raises(AnswerUnusable, match="is not trusted"):
            reader.poll()
        assert [each.code for each in reader._refusals.due(0)] == ["NOT_AUTHENTIC"]


def test_what_stands_in_the_way_is_told_and_shows_no_secret(server, tmp_path):
    key = tmp_path / "key"
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(key)
    with pytest.raises(AnswerUnusable, match="does not let") as stranger:
        fetching(server, tmp_path / "drop", key_file=key).poll()
    with pytest.raises(AnswerUnusable, match="does not let"):
        fetching(server, tmp_path / "drop", key_file=None, password="geheim").poll()
    key.write_text("no key")
    with pytest.raises(AnswerUnusable, match="does not let"):
        fetching(server, tmp_path / "drop", key_file=key).poll()
    with pytest.raises(AnswerUnusable, match="No such file"):
        fetching(server, tmp_path / "drop", path="/no/such").poll()
    with pytest.raises(SourceUnavailable, match="listing failed"):
        fetching(server, tmp_path / "drop", port=1).poll()
    server.put("a", b"a")
    with pytest.raises(SourceUnavailable, match="cannot be written"):
        fetching(server, tmp_path / "no landing folder" / "drop").poll()
    assert "geheim" not in str(stranger.value)


@contextmanager
def hostile(tmp_path: Path, names: list[bytes]):
    """A server that lists what no folder can hold."""

    class Hostile(asyncssh.SFTPServer):
        async def scandir(self, path):  # noqa: ARG002
            for name in names:
                attributes = asyncssh.SFTPAttrs(
                    type=asyncssh.FILEXFER_TYPE_REGULAR, permissions=0o100644, size=1, mtime=1_795_000_000
                )
                yield asyncssh.SFTPName(name, attrs=attributes)

    loop = asyncio.new_event_loop()
    host, user = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    user.write_private_key(tmp_path / "id")
    user.write_public_key(tmp_path / "id.pub")
    listening = asyncssh.listen(
        "127.0.0.1",
        0,
        server_host_keys=[host],
        authorized_client_keys=str(tmp_path / "id.pub"),
        sftp_factory=Hostile,
    )
    acceptor = loop.run_until_complete(listening)
    (tmp_path / "known").write_text(f"[127.0.0.1]:{acceptor.get_port()} {host.export_public_key().decode()}")
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield {"port": acceptor.get_port(), "known_hosts": tmp_path / "known", "key_file": tmp_path / "id"}
    loop.call_soon_threadsafe(acceptor.close)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_names_that_lead_out_of_the_folder_are_refused_with_an_entry(tmp_path):
    names = [
        b"../evil", b"/etc/cron.d/evil", b"..\\evil", b"a/b", b"a\0b", b"a\nb", b"a\x1b[2Jb", b"a\xff\xfe", b"x" * 300,
        "a\u202eb".encode(), b"replay-0123456789abcdef-0", b"..", b".",
    ]  # fmt: skip
    with hostile(tmp_path, names) as peer:
        own = {"host": "127.0.0.1", "user": "u", "path": "/", "into": "drop", "settle_s": 0, "every_s": 1}
        section = SftpCollector(protocol="sftp", **own, **peer)
        reader = SftpFiles(section, "line", tmp_path / "landing" / "drop", Clock(), Refusals())
        refused = entries(reader)
    assert {each["code"] for each in refused} == {"UNSAFE_NAME"}
    assert len(refused) == len(names) - 2
    (entry,) = reader._refusals.due(0)
    assert (entry.code, entry.count, entry.piece) == ("UNSAFE_NAME", len(names) - 2, names[0])
    assert entry.detail.isprintable()
    assert not (tmp_path / "landing").exists()


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({}, "nothing shows who we are"),
        ({"password": "a", "key_file": "b"}, "two things do"),
    ],
)
def test_settings_that_cannot_be_are_refused(more, told):
    with pytest.raises(ValueError, match=told):
        SftpCollector(protocol="sftp", host="h", known_hosts="k", user="u", into="drop", **more)


@pytest.fixture
def link(server):
    with FaultProxy(server.port) as proxy:
        yield proxy


def test_kills_of_both_sides_and_of_the_link_amid_a_transfer_land_each_file_once(server, link, tmp_path):
    mapping = MAPPING.replace('collected = ["line"]', 'folder = "drop"\npattern = "*.jsonl"')
    own = f'host = "127.0.0.1"\nport = {link.port}\nuser = "{server.user}"\npath = "{server.folder}"\ninto = "drop"'
    known = tmp_path / "known_hosts"
    known.write_text(server.known_hosts.read_text().replace(str(server.port), str(link.port), 1))
    keys = f'known_hosts = "{known}"\ntimeout_s = 1\nkey_file = "{server.key}"\nevery_s = 0.1\nsettle_s = 0.2'
    site = CollectSite(tmp_path, mapping, f'protocol = "sftp"\n{own}\n{keys}', 'landing = "landing"')
    (tmp_path / "landing").mkdir()
    drop = tmp_path / "landing" / "drop"

    def events(first: int, last: int) -> bytes:
        numbers = range(first, last)
        at = "2026-11-17T06:00:00Z"
        records = ({"bench": "B1", "n": n, "at": at, "order": "WO-1", "good": 1} for n in numbers)
        return b"".join(json.dumps(record).encode() + b"\n" for record in records)

    def fetched() -> int:
        with suppress(FileNotFoundError):
            return (drop / ".line.part").stat().st_size
        return 0

    def amid() -> None:
        """Wait until a transfer goes on that was not at its end when this was called."""
        before = fetched()
        until(lambda: 0 < fetched() < BIG_BYTES and fetched() != before, expected=True)

    try:
        server.put("1.jsonl", events(0, 20), 1_795_000_000)
        site.start("collect", "confirmations")
        until(site.good, 20)
        server.put("2.bin", os.urandom(BIG_BYTES), 1_795_000_001)  # the mapping's pattern leaves it alone
        amid()
        site.kill("collect")
        assert not (drop / "2.bin").exists()
        site.start("collect")
        amid()
        link.fault = Fault(ends="reset")
        link.fault = NONE
        amid()
        asked = link.accepted
        with link.during(HALF_OPEN):
            until(lambda: link.accepted > asked, expected=True)  # given up by ourselves, and asked anew
        amid()
        server.kill()
        assert not (drop / "2.bin").exists()
        server.put("3.jsonl", events(20, 40), 1_795_000_002)
        server.put("replay-0123456789abcdef-0.jsonl", events(40, 60), 1_795_000_003)
        server.start()
        until(site.good, 40)
        told = [json.loads(entry) for entry in site.spooled()]
        told = [entry for entry in told if "landed" in entry]
        assert [each["landed"] for each in told] == ["1.jsonl", "2.bin", "3.jsonl"]
        assert told[1]["sha256"] == hashlib.sha256((drop / "2.bin").read_bytes()).hexdigest()
        until(site.faults, 1)
        (letter,) = site.letters()
        assert (letter.fault.code, letter.fault.plant, letter.value) == (
            "UNSAFE_NAME", "Q", b"replay-0123456789abcdef-0.jsonl"
        )  # fmt: skip
        assert site.good() == 40
    finally:
        site.close()
