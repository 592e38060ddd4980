"""B2MML documents for tests: small ones of this project, by release, and where to find those of others."""

from __future__ import annotations

import os
from pathlib import Path

from canonical.b2mml.document import NAMESPACES

COURBON = Path(__file__).parents[2] / "shared/fixtures/b2mml_v0401_courbon"
"""A real weighing exchange; it is no part of this project."""

SCHEMAS = Path(os.environ.get("B2MML_SCHEMAS", Path(__file__).parents[2] / "shared/schemas/b2mml"))
"""Folder of the V0700 schemas of MESA International, where somebody has put them."""

NAMESPACE = {release: namespace for namespace, release in NAMESPACES.items()}
CREATED = "2026-03-03T10:00:00Z"


def transaction(noun: str, items: str, release: str = "V0700", verb: str = "Sync", action: str = "") -> bytes:
    """Return a document whose items are XML."""
    criteria = f'<ActionCriteria><ActionExpression actionCode="{action}"/></ActionCriteria>' if action else ""
    return (
        f'<?xml version="1.0" encoding="utf-8"?>\n<{verb}{noun} xmlns="{NAMESPACE[release]}" releaseID="">'
        "<ApplicationArea><Sender><LogicalID>MES1</LogicalID></Sender>"
        f"<CreationDateTime>{CREATED}</CreationDateTime></ApplicationArea>"
        f"<DataArea><{verb}>{criteria}</{verb}>{items}</DataArea></{verb}{noun}>"
    ).encode()


def amount(value: str, unit: str = "KG") -> str:
    """Return a quantity."""
    return (
        f"<Quantity><QuantityString>{value}</QuantityString><DataType>decimal</DataType>"
        f"<UnitOfMeasure>{unit}</UnitOfMeasure></Quantity>"
    )


def actual(use: str, value: str = "1.5", unit: str = "KG", material: str = "M-1", more: str = "") -> str:
    """Return a material used or made."""
    return (
        f"<MaterialActual><ID>1</ID><MaterialDefinitionID>{material}</MaterialDefinitionID>"
        f"<MaterialLotID>L-1</MaterialLotID>{more}<MaterialUse>{use}</MaterialUse>"
        f"{amount(value, unit) if value else ''}</MaterialActual>"
    )


def performance(segment: str, release: str = "V0700", verb: str = "Sync", ended: str = "2026-03-03T09:30:00Z") -> bytes:
    """Return a performance of one segment, whose content behind its times is XML."""
    kind = "Production" if release == "V0401" else "Operations"
    time = f"<ActualEndTime>{ended}</ActualEndTime>" if ended else ""
    return transaction(
        f"{kind}Performance",
        f"<{kind}Performance><ID>P</ID><{kind}Response><ID>R</ID><{kind}RequestID>4711</{kind}RequestID>"
        f"<SegmentResponse><ID>0010</ID>{time}{segment}</SegmentResponse></{kind}Response></{kind}Performance>",
        release,
        verb,
    )
