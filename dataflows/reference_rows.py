"""Reference data as rows of the store: what a flow ``postings`` knows of the ERPs, analysts know too (M47).

Law: the rows are those records that the reference book takes up: of a system that may tell of them, and readable.
What is neither is passed over here, since the flow ``postings`` keeps it as a dead letter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import pyarrow as pa
from pydantic import ValidationError

from canonical.b2mml import Terms, read_references
from canonical.contracts import REFERENCE, AnyReference
from canonical.records import RawRecords
from canonical.schemas import arrow_schema
from dataflows.items import Commit, Shard, Work
from dataflows.postings import REFERENCE_INPUT
from dataflows.processors.posting.owners import not_owned
from dataflows.settings import Settings
from sinks.analytics.reference_tables import REFERENCE_TABLES
from sinks.analytics.table import STREAM_OFFSET


class ReferenceRows:
    """Reference data of one system, as a stage: records in, rows out.

    Args: shard: its stream is ``reference/<system>``, and what may follow another slash. terms: of systems that write
        B2MML. owners: the systems that may tell of a kind of record.
    """

    def __init__(self, shard: Shard, terms: Mapping[str, Terms], owners: Mapping[str, tuple[str, ...]]) -> None:
        self.system = shard.stream.split("/")[1]
        self.terms, self.owners = terms.get(self.system), owners
        self.rows: dict[type[AnyReference], tuple[list[AnyReference], list[int]]] = {}

    def work(self, work: Work) -> Iterable[Work]:
        """Read the records; until the commit only the time flows on."""
        for row in range(len(work.raw)):
            for record in self._records(work.raw, row):
                if not_owned(self.owners, record.kind, self.system) is None:
                    records, offsets = self.rows.setdefault(type(record), ([], []))
                    records.append(record)
                    offsets.append(int(work.raw.offsets[row]))
        yield Work(work.now_us)

    def commit(self, commit: Commit) -> Mapping[str, bytes]:
        """Hand over the rows since the last commit."""
        for model, (records, offsets) in self.rows.items():
            table = pa.Table.from_pylist([record.model_dump() for record in records], arrow_schema(model))
            name = REFERENCE_TABLES[records[0].kind].name
            commit.tables[name] = table.append_column(STREAM_OFFSET, pa.array(offsets, pa.int64()))
        self.rows = {}
        return {}

    def _records(self, raw: RawRecords, row: int) -> Iterator[AnyReference]:
        if self.terms is not None:
            yield from read_references(raw.value(row), self.terms).records
            return
        try:
            yield REFERENCE.validate_json(raw.value(row))
        except ValidationError:
            return


def reads_reference(shard: Shard) -> bool:
    """Return whether a shard is of reference data."""
    return shard.stream.startswith(f"{REFERENCE_INPUT}/")


def terms_of(settings: Settings) -> Mapping[str, Terms]:
    """Return what is needed to read the systems that write B2MML."""
    return {} if settings.reference is None else settings.reference.b2mml
