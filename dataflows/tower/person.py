"""Who looks at the control tower, and what she may decide (M35, M39, A19).

Law: rights follow from grants alone, and what no grant gives is refused. Everybody who is let in may see every plant;
a plant supervisor decides what her plants have to settle, integration support whatever can be decided.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from canonical.contracts import ActionKind, BusinessException, Owner


class Role(StrEnum):
    """What somebody is to the pipeline."""

    VIEWER = "viewer"
    PLANT_SUPERVISOR = "plant-supervisor"
    INTEGRATION_SUPPORT = "integration-support"
    AUDITOR = "auditor"


@dataclass(frozen=True, slots=True)
class Grant:
    """One role; ``plants`` are those of a plant supervisor."""

    role: Role
    plants: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is signed in; ``subject`` goes into the audit trail."""

    subject: str
    name: str
    grants: tuple[Grant, ...]

    @property
    def reads_trail(self) -> bool:
        """Return whether she may read the audit trail."""
        return self._is(Role.AUDITOR) or self._is(Role.INTEGRATION_SUPPORT)

    @property
    def reverses(self) -> bool:
        """Return whether she may take postings back."""
        return self._is(Role.INTEGRATION_SUPPORT)

    def refusal(self, kind: ActionKind, about: BusinessException) -> str:
        """Return why she may not decide so about an exception; empty where she may."""
        if self._is(Role.INTEGRATION_SUPPORT):
            return ""
        plants = {plant for grant in self.grants if grant.role is Role.PLANT_SUPERVISOR for plant in grant.plants}
        if not plants:
            return "you may look, and decide nothing"
        if kind not in {ActionKind.RELEASE, ActionKind.REPROCESS}:
            return "only integration support may decide that"
        if about.plant not in plants:
            return f"you decide for plant {', '.join(sorted(plants))} only"
        if about.owner is not Owner.PLANT_SUPERVISOR:
            return "integration support has to settle it"
        return ""

    def roles(self) -> str:
        """Return the roles in words."""
        return ", ".join(
            f"{grant.role.value.replace('-', ' ')}{' of ' + ', '.join(grant.plants) if grant.plants else ''}"
            for grant in self.grants
        )

    def _is(self, role: Role) -> bool:
        return any(grant.role is role for grant in self.grants)
