"""Accounting: what the desk does not post, or not yet, told once for each case (M12, M14, M34).

Law: between two calls of ``take`` each case is told at most as it stands at the end: as waiting, where it came and
still waits, or as what ended it without a posting. What was told to wait and is posted is not told again.

State: none; what came since the last commit comes again where it was not committed.
"""

from __future__ import annotations

from canonical.contracts import Action, Unposted, UnpostedState
from dataflows.processors.posting.case import Case
from dataflows.processors.posting.draft import Draft


class Accounting:
    """The cases that wait since the last look, and those that ended without a posting."""

    def __init__(self) -> None:
        self._waiting: dict[int, Case] = {}
        self._ended: list[tuple[Draft, UnpostedState, str, str]] = []

    @property
    def pending(self) -> bool:
        """Whether there is something to take."""
        return bool(self._waiting or self._ended)

    def waits(self, case: Case) -> None:
        """A case has begun to wait."""
        self._waiting[case.number] = case

    def went_on(self, case: Case) -> None:
        """A case does not wait any more."""
        self._waiting.pop(case.number, None)

    def ended(self, draft: Draft, state: UnpostedState, why: str, by: Action | None = None) -> None:
        """A draft is not posted, for this reason."""
        actor = by.actor if by is not None else ""
        self._ended.append((draft, state, by.reason if by is not None else why, actor))

    def take(self, now_us: int) -> list[Unposted]:
        """Return what has not been told."""
        told = [_told(draft, state, why, actor, now_us) for draft, state, why, actor in self._ended]
        told += [_told(case.draft, UnpostedState.WAITING, "", "", now_us) for case in self._waiting.values()]
        self._waiting, self._ended = {}, []
        return told


def _told(draft: Draft, state: UnpostedState, why: str, actor: str, now_us: int) -> Unposted:
    return Unposted(
        cause=draft.cause[:2048],
        kind=draft.kind,
        state=state,
        plant=draft.plant,
        order=draft.order,
        operation=draft.operation,
        work_center=draft.work_center,
        material=draft.material,
        lot=draft.lot,
        unit=draft.unit,
        good=draft.good,
        scrap=draft.scrap,
        rework=draft.rework,
        causes=draft.causes,
        why=why[:1024],
        actor=actor,
        document_date=draft.document_date,
        at_us=now_us,
    )
