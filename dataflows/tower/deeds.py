"""What people decide in the control tower: the same records and the same audit trail as ``plantsync exceptions`` (M35).

Law: who acts is who is signed in; what she may do is asked when it is done, of the exception as the log has it then.
"""

from __future__ import annotations

from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from canonical.contracts import ActionKind
from dataflows.exception_box import effect, exceptions, is_id, settle
from dataflows.story import NothingKnown
from dataflows.tower.entrance import door
from dataflows.tower.site import Site, Visit, link
from dataflows.trail.operator_trail import ACTOR_MAX, REASON_MAX
from sinks.commit_log import WriterFenced

BUSY: Final = "Somebody else decided something at the same time, so nothing was written. Send it again."


def deeds(site: Site) -> list[Route]:
    """Return the routes that change something."""
    return [
        Route("/exceptions/{id}/{kind}", door(site, decide), methods=["POST"]),
        Route("/postings/{id}/reverse", door(site, reverse), methods=["POST"]),
    ]


def decide(site: Site, visit: Visit) -> Response:
    """Write down a decision about an exception."""
    name, kind = visit.request.path_params["id"], _kind(visit.request.path_params["kind"])
    back = f"/exceptions/{name}"
    # From the log itself: somebody may have settled it since the page was drawn.
    about = exceptions(site.settings).get(name)
    if about is None:
        raise HTTPException(404, "There is no such exception.")
    if refusal := visit.person.refusal(kind, about):
        raise HTTPException(403, f"This cannot be decided by you: {refusal}.")
    its = effect(about, kind)
    if not its.possible:
        return _back(back, problem=f"This would do {its.words}.")
    return _written(site, visit, kind, name, back)


def reverse(site: Site, visit: Visit) -> Response:
    """Write down that a posting is to be taken back."""
    name = visit.request.path_params["id"].lower()
    if not visit.person.reverses:
        raise HTTPException(403, "Only integration support takes postings back.")
    if not is_id(name):
        raise HTTPException(404, "That is no id of a posting.")
    try:
        postings = site.story(name).postings
    except NothingKnown:
        postings = []
    if all(each["posting_id"] != name for each in postings):
        raise HTTPException(404, "There is no such posting.")
    return _written(site, visit, ActionKind.REVERSE, name, "/story", of=name)


def _written(site: Site, visit: Visit, kind: ActionKind, subject: str, back: str, **query: str) -> Response:
    reason = visit.form.get("reason", "").strip()
    if not reason or len(reason) > REASON_MAX or not reason.isprintable():
        return _back(back, **query, problem=f"Say why, in one line of at most {REASON_MAX:,} characters.")
    try:
        settle(site.settings, kind, [subject], (visit.person.subject[:ACTOR_MAX], reason), site.clock)
    except WriterFenced:
        return _back(back, **query, problem=BUSY)
    site.watch.soon()
    return _back(back, **query, sent=kind.value)


def _kind(text: str) -> ActionKind:
    if text not in {ActionKind.RELEASE, ActionKind.REPROCESS, ActionKind.DISCARD}:
        raise HTTPException(404, "There is no such decision.")
    return ActionKind(text)


def _back(to: str, **query: str) -> Response:
    return RedirectResponse(link(to, **query), 303)
