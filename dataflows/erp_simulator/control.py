"""The control endpoint: reads the truth of the ERPs and makes them misbehave. For tests; loopback only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from dataflows.erp_simulator.document import MessageState, OpenState
from dataflows.erp_simulator.endpoint import BODY_BYTES_MAX, bounded
from dataflows.erp_simulator.export import exported
from dataflows.erp_simulator.faults import FaultProfile, Plan
from dataflows.erp_simulator.instance import Instance
from dataflows.erp_simulator.master_data import MasterData
from dataflows.erp_simulator.throttle import Bucket, Limit
from dataflows.erp_simulator.truth import document_row, duplicates, stocks, totals
from dataflows.erp_simulator.world import World

PREFIX: Final = "/_control"
PAGE: Final = 500
PAGE_MAX: Final = 5000
_LOOPBACK: Final = ("127.", "::1", "testclient")


class _Ask(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Clock(_Ask):
    now: datetime | None = None
    advance_s: float = Field(default=0.0, ge=0, le=10**9)


class _Lock(_Ask):
    order: str
    user: str = "MUELLERH"
    seconds: float = Field(default=60.0, ge=0, le=10**8)


class _Limit(_Ask):
    rate_per_s: float = Field(ge=0, le=10**6)
    burst: int = Field(default=20, ge=1, le=10**6)
    by_erp_clock: bool = False


class _Expire(_Ask):
    sessions: bool = False
    tokens: bool = False


class _Retry(_Ask):
    confirmation: str = ""


class _Again(_Ask):
    number: int


class _Unknown(Exception):
    """What was asked for is not there."""


class Control:
    """Routes of the control endpoint."""

    def __init__(self, world: World) -> None:
        """Control the ERPs of ``world``."""
        self._world = world
        self.router = Router(
            [
                Route("/health", self._health),
                Route("/clock", self._clock, methods=["GET", "POST"]),
                Route("/{erp}/{what:path}", self._erp, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
            ]
        )

    async def _health(self, request: Request) -> Response:
        if refused := _foreign(request):
            return refused
        return _json({"ready": True, "erps": {name: i.kind for name, i in self._world.instances.items()}})

    async def _clock(self, request: Request) -> Response:
        if refused := _foreign(request):
            return refused
        clock = self._world.clock
        if request.method == "POST":
            if not clock.simulated:
                return _json({"error": "the clock is real; start with --simulated"}, 409)
            try:
                asked = _Clock.model_validate_json(await bounded(request, BODY_BYTES_MAX) or b"{}")
            except ValidationError as error:
                return _json({"error": str(error)}, 422)
            target = int(asked.now.timestamp() * 1e6) if asked.now else clock.now_us()
            self._world.set_clock(target + int(asked.advance_s * 1e6))
        now_us = clock.now_us()
        now = datetime.fromtimestamp(now_us / 1e6, UTC).isoformat()
        return _json({"now_us": now_us, "now": now, "simulated": clock.simulated})

    async def _erp(self, request: Request) -> Response:
        if refused := _foreign(request):
            return refused
        instance = self._world.instances.get(request.path_params["erp"])
        if instance is None:
            return _json({"error": f"there is no ERP {request.path_params['erp']}"}, 404)
        body = await bounded(request, BODY_BYTES_MAX)
        if body is None:
            return _json({"error": "body too large"}, 413)
        instance.wake()
        what = request.path_params["what"]
        try:
            if request.method == "GET":
                if what == "export":
                    return Response(exported(instance.book, instance.name), media_type="application/x-ndjson")
                return _json(_read(instance, what, dict(request.query_params)))
            return _json(_change(instance, f"{request.method} {what}", body or b"{}"))
        except _Unknown:
            return _json({"error": f"there is no {request.method} {what}"}, 404)
        except (ValidationError, ValueError) as error:
            return _json({"error": str(error)}, 422)


def _read(instance: Instance, what: str, query: dict[str, str]) -> object:
    """Return what is asked for; lists in pages of ``limit`` rows after number ``after``."""
    reader = _READERS.get(what)
    if reader is None:
        raise _Unknown
    return reader(instance, query)


def _documents(instance: Instance, query: dict[str, str]) -> object:
    book = instance.book
    numbers = book.by_order.get(query["order"], []) if "order" in query else range(len(book.documents))
    kind = query.get("kind")
    wanted = [n for n in numbers if kind is None or book.documents[n].kind == kind]
    after, limit = _bounds(query)
    page = [n for n in wanted if n + 1 > after][:limit]
    rows = [document_row(book, n) for n in page]
    return {"count": len(wanted), "rows": rows, "next_after": page[-1] + 1 if page and page[-1] != wanted[-1] else None}


def _faults(instance: Instance, query: dict[str, str]) -> object:
    counts = Counter(str(fault["fault"]) for fault in instance.book.faults)
    return {**_page(instance.book.faults, query), "counts": counts}


def _rate(instance: Instance, _query: dict[str, str]) -> object:
    bucket = instance.bucket
    return {**asdict(bucket.limit), "let_through": bucket.let_through, "violations": len(instance.book.violations)}


def _locks(instance: Instance, _query: dict[str, str]) -> object:
    now_us = instance.clock.now_us()
    return {order: {"user": u, "until_us": t} for order, (u, t) in instance.book.locks.items() if t > now_us}


_READERS: Final[dict[str, Callable[[Instance, dict[str, str]], object]]] = {
    "documents": _documents,
    "totals": lambda instance, _: totals(instance.book),
    "stocks": lambda instance, _: stocks(instance.book),
    "duplicates": lambda instance, _: duplicates(instance.book),
    "faults": _faults,
    "plans": lambda instance, _: [plan.model_dump(mode="json") for plan in instance.schedule.plans],
    "rate": _rate,
    "violations": lambda instance, query: _page(instance.book.violations, query),
    "locks": _locks,
    "open-movements": lambda instance, query: _page([asdict(m) for m in instance.book.open.values()], query),
    "messages": lambda instance, query: _page([asdict(m) for m in instance.book.messages.values()], query),
    "profile": lambda instance, _: instance.schedule.profile.model_dump(mode="json"),
    "master-data": lambda instance, _: instance.book.data.model_dump(mode="json"),
}


def _change(instance: Instance, what: str, body: bytes) -> object:
    book = instance.book
    now_us = instance.clock.now_us()
    match what:
        case "POST faults":
            plan = Plan.model_validate_json(body)
            instance.schedule.plans.append(plan)
            return plan.model_dump(mode="json")
        case "DELETE faults":
            instance.schedule.plans.clear()
            return {}
        case "PUT profile":
            instance.schedule.profile = FaultProfile.model_validate_json(body)
            return instance.schedule.profile.model_dump(mode="json")
        case "PUT rate":
            limit = _Limit.model_validate_json(body)
            instance.bucket = Bucket(Limit(**limit.model_dump()))
            return limit.model_dump()
        case "POST locks":
            lock = _Lock.model_validate_json(body)
            until_us = now_us + int(lock.seconds * 1e6)
            book.record("lock", {"order": lock.order, "user": lock.user, "until_us": until_us})
            return {"until_us": until_us}
        case "DELETE locks":
            for order, (user, until_us) in list(book.locks.items()):
                book.record("lock", {"order": order, "user": user, "until_us": min(until_us, now_us)})
            return {}
        case "POST expire":
            expire = _Expire.model_validate_json(body)
            if expire.sessions:
                instance.access.expire_sessions()
            if expire.tokens:
                instance.access.expire_tokens()
            return {}
        case "POST open-movements":
            retry = _Retry.model_validate_json(body)
            failed = [n for n, m in book.open.items() if m.state is OpenState.FAILED]
            chosen = [n for n in failed if retry.confirmation in {"", n}]
            return [asdict(instance.erp.settle(n, now_us, by_person=True)) for n in chosen]
        case "POST messages" if instance.again is not None:
            number = _Again.model_validate_json(body).number
            if number not in book.messages or book.messages[number].state is not MessageState.FAILED:
                raise ValueError(f"there is no failed message {number}")
            instance.again(number, now_us)
            return asdict(book.messages[number])
        case "PATCH master-data":
            change = MasterData.model_validate_json(body)
            book.record("master data", change.model_dump(mode="json"))
            return {}
        case _:
            raise _Unknown


def _bounds(query: dict[str, str]) -> tuple[int, int]:
    return int(query.get("after", "0")), min(int(query.get("limit", str(PAGE))), PAGE_MAX)


def _page(rows: Sequence[Mapping[str, Any]], query: dict[str, str]) -> dict[str, Any]:
    after, limit = _bounds(query)
    page = [{**row, "row": number} for number, row in enumerate(rows[after : after + limit], after + 1)]
    return {"count": len(rows), "rows": page, "next_after": after + limit if after + limit < len(rows) else None}


def _foreign(request: Request) -> Response | None:
    host = request.client.host if request.client else ""
    return None if host.startswith(_LOOPBACK) else _json({"error": "control is for this machine only"}, 403)


def _json(value: object, status: int = 200) -> Response:
    return Response(orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS), status, media_type="application/json")
