"""Parquet files under fuzz: pages, their headers and the footer spoilt by byte and by piece; each message is a file."""

from __future__ import annotations

import io
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from canonical.columns import Vocabulary
from canonical.decoders import decode
from canonical.decoders.parquet_rows import ROWS_PER_BYTE_MAX, WINDOW_ROWS, ParquetRows, read_parquet
from tests.fuzz import seeds
from tests.fuzz.outcome import NOW_US, Tally
from tests.fuzz.targets import Target
from tests.fuzz.violation import require

GROUPS_MAX = 1_000
ROWS = 24


def _file(compression: str, version: str, dictionary: bool, page: int) -> bytes:
    columns = {
        "machine": [f"M{n % 3}" for n in range(ROWS)],
        "n": list(range(ROWS)),
        "at": pa.array([NOW_US - n for n in range(ROWS)], pa.timestamp("us", "UTC")),
        "job": [{"order": str(n), "step": {"no": n}} if n % 5 else None for n in range(ROWS)],
        "good": [None if n % 7 == 3 else n / 8 for n in range(ROWS)],
        "bytes": [b"\xff\x00", b"R1"] * (ROWS // 2),
        "list": [[1, 2], None] * (ROWS // 2),
    }
    out = io.BytesIO()
    options = {"compression": compression, "data_page_version": version, "use_dictionary": dictionary}
    pq.write_table(pa.table(columns), out, row_group_size=10, data_page_size=page, **options)
    return out.getvalue()


class FileTarget:
    """Files, one time out of five sound."""

    weight = 0.12
    batch_messages = 12

    def __init__(self) -> None:
        self.mapping = seeds.own_plant("rows")
        ways = itertools.product(("none", "snappy", "zstd", "gzip"), ("1.0", "2.0"), (True, False), (16, 1 << 20))
        self.files = [_file(*way) for way in ways]

    def batch(self, rng: Random, count: int) -> list[bytes]:
        return [_spoilt(rng, rng.choice(self.files)) for _ in range(count)]

    def check(self, values: Sequence[bytes], rng: Random) -> Tally:
        tally: Tally = Counter()
        for data in values:
            records = read_parquet(data, "fuzz")
            most = GROUPS_MAX * WINDOW_ROWS + ROWS_PER_BYTE_MAX * len(data)
            require(len(records) <= most, "a file holds what its size can hold", len(records))
            require((np.diff(records.offsets) > 0).all(), "offsets increase")
            self._pieces(data, records, rng)
            done = decode(self.mapping, records, Vocabulary(), NOW_US)
            require(len(done.events) + len(done.faults) + done.skipped == len(records), "every row is accounted for")
            tally += Counter({"events": len(done.events), "skipped": done.skipped})
            tally += Counter(fault.code.value for fault in done.faults)
        return tally

    def _pieces(self, data: bytes, records, rng: Random) -> None:
        """A file read in pieces, from the middle on, holds the same records."""
        first = rng.choice((0, 0, 1, 9, 10))
        rows, found = ParquetRows(io.BytesIO(data), first), []
        while len(piece := rows.read(rng.choice((1, 7, 500)), rng.choice((1, 1_000, 1 << 20)))):
            found += zip(piece.offsets.tolist(), map(piece.value, range(len(piece))), strict=True)
        wanted = zip(records.offsets.tolist(), map(records.value, range(len(records))), strict=True)
        require(found == [each for each in wanted if each[0] >= first], "a file is read in pieces as whole")


def _spoilt(rng: Random, file: bytes) -> bytes:
    if rng.random() < 0.2:
        return file
    body = bytearray(file)
    footer = int.from_bytes(file[-8:-4], "little") + 8
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        first = len(body) - footer if rng.random() < 0.5 else 0
        at = min(rng.randrange(max(first, 0), max(len(body), 1)), len(body) - 1)
        match rng.randrange(10):
            case 0:
                del body[at : at + rng.randrange(1, 9)]
            case 1:
                body[at:at] = rng.randbytes(rng.randrange(1, 9))
            case 2:
                del body[at + 1 :]
            case 3 | 4:
                body[at] ^= 1 << rng.randrange(8)
            case _:
                body[at] = rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))
        if len(body) < footer:
            break
    return bytes(body)


def targets() -> Mapping[str, Target]:
    """Return the target."""
    return {"parquet-files": FileTarget()}
