"""A folder of an SFTP server: what is in it, and the bytes of a file, bounded in time and size.

Law: nothing is asked of a server that does not show the key that ``known_hosts`` has for it, and nothing of this
machine's user is used: no configuration, no keys, no agent. Names are bytes, as the server gives them; whether they are
names that may be used here is for others to find out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar, cast

import asyncssh

from canonical.contracts.fault import FaultCode
from dataflows.collectors.refusals import Refusals
from dataflows.collectors.sftp_settings import SftpCollector
from dataflows.sources.errors import AnswerUnusable, SourceError, SourceUnavailable

BLOCK_BYTES: Final = 1 << 20
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file as the server has it: bytes of its name and in it, and when it was changed, in seconds since 1970."""

    name: bytes
    size: int
    mtime: int


class SftpServer:
    """One server, connected to when it is asked."""

    def __init__(self, section: SftpCollector, name: str, refusals: Refusals) -> None:
        self._section, self._name, self._refusals = section, name, refusals
        self._folder = section.path.encode()
        self._runner: asyncio.Runner | None = None
        self._connection: asyncssh.SSHClientConnection | None = None
        self._client: asyncssh.SFTPClient | None = None

    def listed(self) -> list[RemoteFile]:
        """Return the regular files of the folder. Raises: SourceUnavailable, AnswerUnusable."""
        return self._done(self._list(), "listing")

    def fetch(self, file: RemoteFile, write: Callable[[bytes], object]) -> bool:
        """Hand over a file's bytes; return False where it is no longer what it was, and they are good for nothing.

        Raises: SourceUnavailable, AnswerUnusable; as ``write`` does.
        """
        return self._done(self._fetch(file, write), "reading")

    def close(self) -> None:
        """Close the connection."""
        if self._runner is not None and self._connection is not None:
            self._connection.abort()
            self._runner.run(self._connection.wait_closed())
        if self._runner is not None:
            self._runner.close()
        self._runner = self._connection = self._client = None

    def _done(self, work: Awaitable[T], what: str) -> T:
        if self._runner is None:
            self._runner = asyncio.Runner()

        async def run() -> T:
            return await work

        try:
            return self._runner.run(run())
        except Exception as error:
            self.close()
            if (told := self._told(error, what)) is None:
                raise
            raise told from error

    def _told(self, error: Exception, what: str) -> SourceError | None:
        """Return what an error of the library means for us."""
        section = self._section
        who = f"collect.{self._name}: {section.host}:{section.port}"
        match error:
            case asyncssh.HostKeyNotVerifiable():
                words = f"{section.host}:{section.port} does not show the key that known_hosts has for it"
                self._refusals.refuse(FaultCode.NOT_AUTHENTIC, words)
                return AnswerUnusable(
                    f"{who} does not show the key that {section.known_hosts} has for it, and is not trusted. "
                    "If it has a new one, ask who runs it, and change the file."
                )
            case asyncssh.PermissionDenied() | asyncssh.KeyImportError():
                return AnswerUnusable(f"{who} does not let {section.user} in: {error}. Check password or key_file.")
            case asyncssh.SFTPNoSuchFile() | asyncssh.SFTPPermissionDenied():
                return AnswerUnusable(f"{who}: {what} in {section.path!r}: {error.reason}.")
            case asyncssh.Error() | TimeoutError() | OSError():
                return SourceUnavailable(f"{who}: {what} failed: {error or type(error).__name__}.")
        return None

    async def _list(self) -> list[RemoteFile]:
        client = await self._connected()
        found: list[RemoteFile] = []
        async with asyncio.timeout(self._section.timeout_s):
            async for entry in client.scandir(self._folder):
                attributes, name = entry.attrs, entry.filename
                if attributes.type != asyncssh.FILEXFER_TYPE_REGULAR:
                    continue
                if len(found) >= self._section.files_max:
                    where = f"{self._section.host}:{self._section.port}"
                    words = f"{where}: more than {self._section.files_max:,} files in {self._section.path!r}"
                    self._refusals.refuse(FaultCode.FLOODED, words)
                    raise AnswerUnusable(
                        f"collect.{self._name}: there are more than {self._section.files_max:,} files in "
                        f"{self._section.path!r} (files_max). Move away those that were fetched."
                    )
                raw = name if isinstance(name, bytes) else name.encode()
                found.append(RemoteFile(raw, attributes.size or 0, attributes.mtime or 0))
        return found

    async def _fetch(self, file: RemoteFile, write: Callable[[bytes], object]) -> bool:
        client = await self._connected()
        wait_s = self._section.timeout_s
        at = 0
        async with asyncio.timeout(wait_s):
            opened = await client.open(self._folder + b"/" + file.name, "rb", encoding=None)
        try:
            while at < file.size:
                async with asyncio.timeout(wait_s):
                    data = cast("bytes", await opened.read(min(BLOCK_BYTES, file.size - at), at))
                if not data:
                    return False
                write(data)
                at += len(data)
            async with asyncio.timeout(wait_s):
                now = await opened.stat()
            return (now.size, now.mtime) == (file.size, file.mtime)
        finally:
            async with asyncio.timeout(wait_s):
                await opened.close()

    async def _connected(self) -> asyncssh.SFTPClient:
        if self._client is not None:
            return self._client
        section = self._section
        keys = [asyncssh.read_private_key(section.key_file)] if section.key_file else None
        async with asyncio.timeout(section.timeout_s):
            self._connection = await asyncssh.connect(
                section.host,
                section.port,
                known_hosts=str(section.known_hosts),
                username=section.user,
                password=section.password.get_secret_value() if section.password else None,
                client_keys=keys,
                agent_path=None,
                config=None,
                compression_algs=None,
                keepalive_interval=section.timeout_s,
            )
            self._client = await self._connection.start_sftp_client(path_encoding=None)
        return self._client
