"""The report on the ERPs: their documents, whether these are what the plants made, and what waits for whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from pydantic import Field, computed_field

from canonical.contracts import SEVERITIES, ExceptionCode
from dataflows.demo.erps import ERP_OF, Erps
from dataflows.demo.paperwork import Paperwork
from dataflows.demo.row import ReportRow
from dataflows.simulator import Truth
from dataflows.simulator.booked import Booked, Row, compare_booked

RECEIPT: Final = "101"
"""Movement type of the receipt of what an order made."""


class PlantDocuments(ReportRow):
    """What a plant's ERP has of what it made in one unit; quantities in thousandths of it."""

    plant: str
    erp: str
    unit: str = Field(description="UN/ECE Rec 20 code.")
    confirmations: int = Field(description="Documents that confirm operations.")
    receipts: int = Field(description="Documents by which goods were received.")
    made: int = Field(description="Good quantity, by the truth.")
    booked: int = Field(description="Of it, what the ERP's ledger holds.")
    waiting: int = Field(description="Of it, what waits under an exception.")

    @computed_field  # type: ignore[prop-decorator] # mypy does not know it; pydantic documents it
    @property
    def equal(self) -> bool:
        """Whether what was made is in the ERP or waits."""
        return self.made == self.booked + self.waiting


class FoundDocument(ReportRow):
    """A document that was found by asking, after an answer was lost."""

    plant: str
    document: str


class OpenExceptions(ReportRow):
    """The open exceptions of one code."""

    owner: str
    code: str
    severity: str
    count: int
    waiting: int = Field(description="Confirmations and postings that wait for them.")
    example: str = Field(description="Id of one of them.")
    message: str = Field(description="What that one says.")


class ErpOutcome(ReportRow):
    """What reached the ERPs, by their own ledgers, compared with the truth."""

    plants: tuple[PlantDocuments, ...]
    documents: int = Field(description="Postings that became documents, by their receipts.")
    found: tuple[FoundDocument, ...]
    faults: dict[str, int] = Field(description="What went wrong in the ERPs, and how often.")
    requests: int = Field(description="Requests that the ERPs let through.")
    closed_order: str = Field(description="Order of plant A that is technically complete, and worked on all the same.")
    exceptions: tuple[OpenExceptions, ...]
    differences: tuple[str, ...] = Field(description="Where a ledger differs from the truth; none is what it takes.")

    @computed_field  # type: ignore[prop-decorator] # mypy does not know it; pydantic documents it
    @property
    def truth_matched(self) -> bool:
        """Whether each ledger holds what was made, once, but for what waits under an exception."""
        return not self.differences and all(plant.equal for plant in self.plants)


def read_erps(erps: Erps, paperwork: Paperwork, truth: Truth, closed: str) -> ErpOutcome:
    """Return what the ERPs say. Raises: ErpsSilent.

    Args: closed: the order of which nothing can be posted.
    """
    plants: list[PlantDocuments] = []
    differences: list[str] = []
    faults: Counter[str] = Counter()
    requests = 0
    for plant, erp in ERP_OF.items():
        booked = Booked(
            operations=erps.told(erp, "totals")["operations"],
            documents=erps.documents(erp),
            stocks=erps.told(erp, "stocks"),
            unconfirmed=_of(paperwork.unconfirmed.values(), plant, closed),
            unreceived=_of(paperwork.unreceived.values(), plant, closed),
        )
        plants += _plant(plant, erp, booked, truth)
        differences += [f"{erp}: {words}" for words in compare_booked(truth.plants[plant], booked)]
        for what, twice in erps.told(erp, "duplicates").items():
            differences += [f"{erp}: {what} {name} booked more than once" for name in twice]
        faults += Counter(erps.told(erp, "faults")["counts"])
        rate = erps.told(erp, "rate")
        requests += rate["let_through"]
        if rate["violations"]:
            differences.append(f"{erp}: {rate['violations']} requests beyond its limit")
    return ErpOutcome(
        plants=tuple(plants),
        documents=paperwork.documents,
        found=tuple(FoundDocument(plant=row["plant"], document=row["document"]) for row in paperwork.found),
        faults=dict(faults),
        requests=requests,
        closed_order=closed,
        exceptions=tuple(_exceptions(paperwork)),
        differences=tuple(differences),
    )


def _of(rows: Iterable[Row], plant: str, order: str) -> list[Row]:
    return [row for row in rows if row["plant"] == plant and row["order"] == order]


def _plant(plant: str, erp: str, booked: Booked, truth: Truth) -> Iterator[PlantDocuments]:
    confirmations = [row for row in booked.documents if row["kind"] == "confirmation"]
    lines = [line for row in booked.documents for line in row["lines"] if line["movement_type"] == RECEIPT]
    made: Counter[str] = Counter()
    for row in truth.plants[plant].shifts:
        made[row.unit] += row.good
    for unit in sorted(made):
        own = [row for row in confirmations if row["unit"] == unit]
        yield PlantDocuments(
            plant=plant,
            erp=erp,
            unit=unit,
            confirmations=len(own),
            receipts=sum(line["unit"] == unit for line in lines),
            made=made[unit],
            booked=sum(row["yield_quantity"] for row in own),
            waiting=sum(row["good"] for row in booked.unconfirmed if row["unit"] == unit),
        )


def _exceptions(paperwork: Paperwork) -> Iterator[OpenExceptions]:
    """Yield the open exceptions by owner and code."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in paperwork.open_exceptions():
        groups.setdefault((row["owner"], row["code"]), []).append(row)
    for (owner, code), rows in sorted(groups.items()):
        yield OpenExceptions(
            owner=owner,
            code=code,
            severity=SEVERITIES[ExceptionCode(code)],
            count=len(rows),
            waiting=sum(row["waiting"] for row in rows),
            example=rows[0]["exception_id"],
            message=rows[0]["message"],
        )
