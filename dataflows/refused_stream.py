"""What collectors refused, as a stream of the spool: written with a collector's commit, read as records refused.

Law: an entry that was written is read with its code, its words and its piece of the bytes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from canonical.contracts.fault import FaultCode
from canonical.records import Headers, RawRecords
from dataflows.collectors.refusals import Refused
from dataflows.sources.log_stream import LogStream
from sinks.commit_log import Record

CODE: Final = "plantsync.refused"
DETAIL: Final = "plantsync.detail"


def refused_record(stream: str, refused: Refused) -> Record:
    """Return the record of the spool that keeps an entry."""
    headers = ((CODE, refused.code.value.encode()), (DETAIL, refused.detail.encode("utf-8", "backslashreplace")))
    return Record(stream, None, refused.piece, headers)


class RefusedStream(LogStream):
    """Reads the entries of one collector; a ``Reader``."""

    def poll(self) -> RawRecords:
        """Return the next entries, each of them refused."""
        raw = super().poll()
        if raw.headers is None:
            return raw
        return replace(raw, keys=None, headers=None, refusals=[_read(headers) for headers in raw.headers])


def _read(headers: Headers) -> tuple[FaultCode, str]:
    told = {name: value.decode("utf-8", "replace") for name, value in headers}
    return FaultCode(told[CODE]), told[DETAIL]
