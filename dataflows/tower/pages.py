"""The pages: what flows and what is stuck, exceptions, orders, production, stories, the audit trail."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from canonical.contracts import ActionKind, BusinessException, ExceptionCode, Owner
from dataflows.exception_box import Filter, effect, is_id
from dataflows.story import HOPS, NothingKnown
from dataflows.tower import hop, summary
from dataflows.tower.entrance import door
from dataflows.tower.figures import asked
from dataflows.tower.site import Site, Visit

SHOWN_MAX: Final = 200
WORST_SHOWN: Final = 8
POSTINGS_SHOWN: Final = 50
KINDS: Final = (ActionKind.RELEASE, ActionKind.REPROCESS, ActionKind.DISCARD)
ORDERS: Final = """
WITH wanted AS (
    SELECT plant, order_id, max_by(planned, changed) AS planned, max_by(unit, changed) AS planned_unit,
        max_by(status, changed) AS status
    FROM production_order GROUP BY plant, order_id
)
SELECT order_progress.*, epoch_us(first_occurred) AS first_us, epoch_us(last_occurred) AS last_us, planned,
    planned_unit, status
FROM order_progress LEFT JOIN wanted USING (plant, order_id)
WHERE ($plant = '' OR plant = $plant) AND ($of = '' OR contains(lower(order_id), lower($of)))
ORDER BY last_occurred DESC, plant, order_id, operation LIMIT $most
"""
OPERATIONS: Final = """
SELECT operation, unit, material, good, scrap, rework, confirmations, events, complete,
    epoch_us(first_occurred) AS first_us, epoch_us(last_occurred) AS last_us
FROM order_progress WHERE plant = $plant AND order_id = $of ORDER BY operation, unit
"""
PLANNED: Final = """
SELECT erp, material, status, planned, unit FROM production_order WHERE plant = $plant AND order_id = $of ORDER BY erp
"""
POSTINGS: Final = """
SELECT CAST(posting_id AS VARCHAR) AS posting_id, number, operation, kind, unit, good, scrap, rework, status, document,
    attempts, message, erp, epoch_us(occurred) AS occurred_us, epoch_us(answered) AS answered_us
FROM posting_outcome WHERE plant = $plant AND order_id = $of ORDER BY erp, number DESC LIMIT $most
"""
HOURS: Final = """
SELECT unit, epoch_us(hour) // 3600000000 AS hour, sum(good) AS good, sum(scrap) AS scrap, sum(rework) AS rework
FROM output_by_hour WHERE plant = $plant AND ($at = '' OR work_center = $at) GROUP BY ALL ORDER BY hour DESC LIMIT $most
"""
WORK_CENTERS: Final = """
SELECT work_center, unit, sum(good) AS good, sum(scrap) AS scrap, sum(rework) AS rework,
    sum(scrap) / nullif(sum(good) + sum(scrap) + sum(rework), 0) AS share
FROM output_by_hour WHERE plant = $plant GROUP BY ALL ORDER BY work_center, unit
"""
REASONS: Final = """
SELECT reason, unit, scrap, share, confirmations
FROM scrap_by_reason WHERE plant = $plant ORDER BY unit, scrap DESC LIMIT $most
"""
OEE_DAYS: Final = """
SELECT posting_date, availability, effectiveness, quality_ratio, oee
FROM oee_by_day WHERE plant = $plant ORDER BY posting_date DESC LIMIT 14
"""
OEE_SHIFTS: Final = """
SELECT work_center, posting_date, shift, availability, effectiveness, quality_ratio, oee, pbt
FROM oee_by_shift WHERE plant = $plant AND ($at = '' OR work_center = $at) AND shift <> '' AND pbt > 0
ORDER BY posting_date DESC, shift DESC, work_center LIMIT 12
"""
STOPS: Final = """
SELECT reason, state, sum(seconds) AS seconds, sum(intervals) AS intervals,
    sum(seconds) / sum(sum(seconds)) OVER () AS share
FROM stops_by_reason WHERE plant = $plant AND ($at = '' OR work_center = $at)
GROUP BY ALL ORDER BY seconds DESC LIMIT 12
"""
TRAIL: Final = """
SELECT chain, number, at_us, actor, action, subject, reason, hash FROM trail
WHERE ($actor = '' OR actor = $actor) AND ($action = '' OR action = $action) ORDER BY at_us DESC, chain, number DESC
LIMIT $most
"""
PRODUCTION_HOURS: Final = 48
UNITS_MAX: Final = 10


def pages(site: Site) -> list[Route]:
    """Return the routes of all pages."""
    made = {
        "/": overview,
        "/exceptions": exceptions,
        "/exceptions/{id}": exception,
        "/orders": orders,
        "/order": order,
        "/story": told,
        "/production": production,
        "/trail": trail,
    }
    return [Route(path, door(site, page)) for path, page in made.items()]


def overview(site: Site, visit: Visit) -> Response:
    """Show each plant hop by hop, what waits for whom, ERPs and flows."""
    picture, now_us = site.watch.picture, site.clock()
    found = picture.box.open()
    waiting = sum(row.get("waiting") or 0 for row in picture.figures.plants.values())
    queued = sum(row.get("queued") or 0 for row in picture.figures.plants.values())
    return site.page(
        visit.request,
        "overview.html",
        visit.session,
        plants=hop.plants(site.settings, picture, now_us),
        worst=summary.worst_first(found)[:WORST_SHOWN],
        decided=picture.box.decided,
        owners=summary.owners(found, now_us),
        ages=summary.AGES,
        erps=summary.erps(site.settings, picture),
        flows=summary.flows(picture, site.settings.tower.stale_after_s),
        sparks=summary.sparks(picture),
        severities=Counter(each.severity.value for each in found),
        oldest_us=min((each.opened_us for each in found), default=None),
        waiting=waiting,
        queued=queued,
    )


def exceptions(site: Site, visit: Visit) -> Response:
    """List exceptions, worst first."""
    picture, now_us = site.watch.picture, site.clock()
    code = ExceptionCode.__members__.get(visit.asked("code"))
    age = visit.asked("age")
    chosen = {name: visit.asked(name) for name in ("plant", "owner", "erp", "order")}
    wanted = Filter(code, **chosen, ended=visit.asked("ended") == "1")
    found = [each for each in picture.box.exceptions.values() if wanted.lets(each)]
    if age.isdigit():
        found = [each for each in found if summary.age_of(each, now_us) == int(age)]
    everything = picture.box.exceptions.values()
    return site.page(
        visit.request,
        "exceptions.html",
        visit.session,
        found=summary.worst_first(found)[:SHOWN_MAX],
        count=len(found),
        counts=Counter(each.code.value for each in found).most_common(),
        decided=picture.box.decided,
        chosen={**chosen, "code": code or "", "age": age if age.isdigit() else "", "ended": wanted.ended},
        ages=summary.AGES,
        owners=list(Owner),
        plants=sorted({each.plant for each in everything if each.plant}),
        erps=sorted({each.erp for each in everything if each.erp}),
    )


def exception(site: Site, visit: Visit) -> Response:
    """Show one exception: what happened, what can be decided about it, and what was."""
    about = known(site, visit.request.path_params["id"])
    box = site.watch.picture.box
    decided = box.decided(about)
    choices = [(kind, effect(about, kind), visit.person.refusal(kind, about)) for kind in KINDS]
    return site.page(
        visit.request,
        "exception.html",
        visit.session,
        about=about,
        choices=choices,
        decided=decided,
        action=box.actions.get(str(about.exception_id)),
        sent=visit.asked("sent"),
        problem=visit.asked("problem"),
    )


def orders(site: Site, visit: Visit) -> Response:
    """List orders with what each operation has made of what is planned, those that were worked at last first."""
    values = {"plant": visit.asked("plant"), "of": visit.asked("q"), "most": SHOWN_MAX}
    (rows,) = asked(site.settings.store.published, (ORDERS, values))
    by_order: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        by_order.setdefault((row["plant"], row["order_id"]), []).append(row)
    for operations in by_order.values():
        operations.sort(key=lambda row: row["operation"])
    waits = Counter((each.plant, each.order) for each in site.watch.picture.box.open())
    return site.page(
        visit.request,
        "orders.html",
        visit.session,
        orders=by_order,
        waits=waits,
        more=len(rows) == SHOWN_MAX,
        chosen={"plant": values["plant"], "q": values["of"]},
        plants=sorted(site.watch.picture.figures.plants),
    )


def order(site: Site, visit: Visit) -> Response:
    """Show one order: its operations, its postings, its exceptions."""
    values = {"plant": visit.asked("plant"), "of": visit.asked("order")}
    operations, postings, planned = asked(
        site.settings.store.published,
        (OPERATIONS, values),
        (POSTINGS, {**values, "most": SHOWN_MAX}),
        (PLANNED, values),
    )
    wanted = Filter(plant=values["plant"], order=values["of"], ended=True)
    own = [each for each in site.watch.picture.box.exceptions.values() if wanted.lets(each)]
    if not (operations or postings or own):
        raise HTTPException(404, f"Nothing is known of an order {values['of']} of plant {values['plant']}.")
    return site.page(
        visit.request,
        "order.html",
        visit.session,
        plant=values["plant"],
        order=values["of"],
        operations=operations,
        postings=postings,
        planned=planned,
        own=own,
        decided=site.watch.picture.box.decided,
        more=len(postings) == SHOWN_MAX,
    )


def told(site: Site, visit: Visit) -> Response:
    """Tell the story of a posting, a document, a confirmation or an order, as ``plantsync explain`` does."""
    subject, plant = visit.asked("of"), visit.asked("plant")
    try:
        found = site.story(subject, plant).told()
    except NothingKnown as error:
        raise HTTPException(404, f"{str(error)[0].upper()}{str(error)[1:]}.") from error
    one = found["postings"][0] if len(found["postings"]) == 1 else None
    return site.page(
        visit.request,
        "story.html",
        visit.session,
        story=found,
        shown=found["postings"][:POSTINGS_SHOWN],
        hops=HOPS,
        subject=subject,
        reversible=one if one is not None and visit.person.reverses and is_id(one["posting_id"]) else None,
        taken_back=site.watch.picture.box.actions.get(one["posting_id"]) if one is not None else None,
        sent=visit.asked("sent"),
        problem=visit.asked("problem"),
    )


def production(site: Site, visit: Visit) -> Response:
    """Show output by hour, OEE, work centres, stops and scrap by reason of one plant."""
    known_plants = sorted(site.watch.picture.figures.plants)
    plant = visit.asked("plant") or next((p for p in known_plants), "")
    values = {"plant": plant}
    at = {"at": visit.asked("at"), "most": PRODUCTION_HOURS * UNITS_MAX}
    of_center = {**values, "at": at["at"]}
    hours, days, shifts, stops, centers, reasons = asked(
        site.settings.store.published,
        (HOURS, values | at),
        (OEE_DAYS, values),
        (OEE_SHIFTS, of_center),
        (STOPS, of_center),
        (WORK_CENTERS, values),
        (REASONS, values | {"most": SHOWN_MAX}),
    )
    last = max((row["hour"] for row in hours), default=0)
    charts = {}
    for unit in sorted({row["unit"] for row in hours}):
        rows = {row["hour"]: row for row in hours if row["unit"] == unit}
        charts[unit] = summary.hourly(rows, last, PRODUCTION_HOURS, 960, 200)
    return site.page(
        visit.request,
        "production.html",
        visit.session,
        plant=plant,
        at=at["at"],
        plants=known_plants,
        charts=charts,
        last_us=last * summary.HOUR_US,
        hours=PRODUCTION_HOURS,
        span_us=summary.HOUR_US,
        days=days,
        shifts=shifts,
        stops=stops,
        centers=centers,
        reasons=reasons,
    )


def trail(site: Site, visit: Visit) -> Response:
    """Show what was decided, by whom and why, to those who may read it."""
    if not visit.person.reads_trail:
        raise HTTPException(403, "The audit trail is read by auditors and integration support.")
    chosen = {"actor": visit.asked("actor"), "action": visit.asked("action")}
    (rows,) = asked(site.settings.store.published, (TRAIL, {**chosen, "most": SHOWN_MAX}))
    return site.page(visit.request, "trail.html", visit.session, rows=rows, chosen=chosen, more=len(rows) == SHOWN_MAX)


def known(site: Site, name: str) -> BusinessException:
    """Return an exception as it is now. Raises: HTTPException, where there is none."""
    found = site.watch.picture.box.exceptions.get(name)
    if found is None:
        raise HTTPException(404, "There is no such exception, or it ended long ago.")
    return found
