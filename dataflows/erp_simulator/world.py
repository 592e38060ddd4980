"""All simulated ERPs of one process: how each is put together from its options and its ledger."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dataflows.erp_simulator.access import Access
from dataflows.erp_simulator.book import Book
from dataflows.erp_simulator.clock import Clock
from dataflows.erp_simulator.drop import Drop, NoInterface
from dataflows.erp_simulator.dynamics import Dynamics
from dataflows.erp_simulator.erp import Erp
from dataflows.erp_simulator.exchange import Dialect
from dataflows.erp_simulator.faults import Fault, FaultProfile, Schedule
from dataflows.erp_simulator.instance import Instance, Traits
from dataflows.erp_simulator.ledger import Entry, Ledger
from dataflows.erp_simulator.master_data import MasterData
from dataflows.erp_simulator.oracle import Oracle
from dataflows.erp_simulator.sap import Sap
from dataflows.erp_simulator.throttle import Bucket, Limit

_SAP_ONLY: Final = frozenset({Fault.SESSION_EXPIRED, Fault.MOVEMENT_FAILS})
TRAITS: Final = {
    "sap": Traits("/sap/bc/sec/oauth2/token", basic=True, impossible=frozenset({Fault.MESSAGE_FAILS})),
    "oracle": Traits("/oauth2/v1/token", basic=True, impossible=_SAP_ONLY),
    "d365": Traits("/oauth2/v2.0/token", basic=False, impossible=_SAP_ONLY | {Fault.PARTIAL}),
    "drop": Traits("", basic=True, impossible=_SAP_ONLY | {Fault.PARTIAL, Fault.MESSAGE_FAILS}),
}


@dataclass(frozen=True, slots=True)
class Options:
    """What all ERPs of a process have in common. ``nonce`` makes tokens of one life invalid in the next."""

    user: str
    key: str
    seed: int = 1
    faults: FaultProfile = field(default_factory=FaultProfile)
    limit: Limit = field(default_factory=Limit)
    nonce: int = 0
    token_s: int = 3600
    message_delay_s: float = 2.0
    message_retry_s: float = 5.0
    drop_folder: Path | None = None


class World:
    """The ERPs by name, with one clock and one ledger."""

    def __init__(
        self,
        names: Sequence[tuple[str, str]],
        data: MasterData | Mapping[str, MasterData],
        clock: Clock,
        ledger: Ledger,
        options: Options,
    ) -> None:
        """Restore or begin each of ``names`` (kind, name); ``data`` is that of all, or that of each by name."""
        self.clock, self.ledger = clock, ledger
        self.instances = {
            name: self._instance(kind, name, data if isinstance(data, MasterData) else data[name], options)
            for kind, name in names
        }
        for instance in self.instances.values():
            if clock.simulated and instance.book.clock_us is not None:
                clock.set(instance.book.clock_us)

    def wake(self) -> None:
        """Do what is due in every ERP."""
        for instance in self.instances.values():
            instance.wake()

    def set_clock(self, now_us: int) -> None:
        """Set the simulated clock, remember it, and do what has become due."""
        self.clock.set(now_us)
        for instance in self.instances.values():
            instance.book.record("clock", {"now_us": self.clock.now_us()})
        self.wake()

    def _instance(self, kind: str, name: str, data: MasterData, options: Options) -> Instance:
        def append(entries: Sequence[Entry]) -> None:
            self.ledger.append(name, entries)

        book = Book(data, append)
        book.restore(self.ledger.read(name))
        erp = Erp(book, unique_external_ids=kind in {"sap", "drop"})
        access = Access(options.user, options.key, options.seed + options.nonce, token_s=options.token_s)
        schedule = Schedule(options.seed, name, options.faults)
        dialect, work = self._dialect(kind, name, erp, access, schedule, options)

        def wake(now_us: int) -> None:
            erp.wake(now_us)
            if work is not None:
                work(now_us)

        return Instance(
            name,
            kind,
            TRAITS[kind],
            clock=self.clock,
            book=book,
            erp=erp,
            access=access,
            schedule=schedule,
            bucket=Bucket(options.limit),
            dialect=dialect,
            seed=options.seed,
            wake=wake,
            again=_again(dialect),
        )

    @staticmethod
    def _dialect(
        kind: str, name: str, erp: Erp, access: Access, schedule: Schedule, options: Options
    ) -> tuple[Dialect, Callable[[int], None] | None]:
        """Return the dialect of a kind, and what it does without being asked."""
        match kind:
            case "sap":
                return Sap(erp, access), None
            case "oracle":
                oracle = Oracle(erp, delay_us=int(options.message_delay_s * 1e6))
                return oracle, oracle.staged.queue.wake
            case "d365":
                delay_us, retry_us = int(options.message_delay_s * 1e6), int(options.message_retry_s * 1e6)
                dynamics = Dynamics(erp, delay_us=delay_us, retry_us=retry_us)
                return dynamics, dynamics.queue.wake
            case _:
                assert kind == "drop", kind
                assert options.drop_folder is not None
                return NoInterface(), Drop(options.drop_folder / name, erp, schedule).wake


def _again(dialect: Dialect) -> Callable[[int, int], object] | None:
    """Return what queues a failed message once more; None where there are none."""
    match dialect:
        case Dynamics():
            return dialect.queue.again
        case Oracle():
            return dialect.staged.queue.again
        case _:
            return None
