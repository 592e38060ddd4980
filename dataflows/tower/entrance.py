"""Signing in and out, and the door before every page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from dataflows.tower.provider import SignInRefused
from dataflows.tower.session import SessionTooLarge
from dataflows.tower.site import Site, Visit, link

FIELDS_MAX: Final = 20
BEGUN: Final = "plantsync-begun"
Endpoint = Callable[[Site, Visit], Response]
Answered = Callable[[Request], Awaitable[Response]]


def door(site: Site, endpoint: Endpoint) -> Answered:
    """Return an endpoint that only those who are signed in reach, and forms only from pages of their session."""

    async def opened(request: Request) -> Response:
        session = await run_in_threadpool(site.session, request)
        if session is None:
            return _to_sign_in(site, request)
        form = await _form(request) if request.method == "POST" else {}
        if request.method == "POST" and not site.sessions.is_form_token(session, form.get("form_token", "")):
            words = "This form is of another sign-in. Go back, load the page anew and send it again."
            return site.page(request, "message.html", session, 403, title="Not sent", words=words)
        return await run_in_threadpool(endpoint, site, Visit(request, session, form))

    return opened


def entrance(site: Site) -> list[Route]:
    """Return the routes of signing in and out."""

    async def sign_in(request: Request) -> Response:
        to = _within(request.query_params.get("to", "/"))
        if request.method != "POST":
            return _asked(site, request, to)
        form = await _form(request)
        return await run_in_threadpool(
            _by_token, site, request, form.get("token", "").strip(), _within(form.get("to", "/"))
        )

    def begin(request: Request) -> Response:
        if site.provider is None or not _attempt(site, request):
            return _asked(site, request, "/", "Too many attempts; wait a minute.", 429)
        try:
            url, cookie = site.provider.begin(_within(request.query_params.get("to", "/")))
        except SignInRefused as error:
            return _asked(site, request, "/", _sentence(error), 503)
        answer = RedirectResponse(url, 303)
        secure = site.settings.tower.secure
        answer.set_cookie(BEGUN, cookie, 600, path="/sign-in/return", secure=secure, httponly=True, samesite="lax")
        return answer

    def return_(request: Request) -> Response:
        if site.provider is None or not _attempt(site, request):
            return _asked(site, request, "/", "Too many attempts; wait a minute.", 429)
        try:
            person, to = site.provider.finish(dict(request.query_params), request.cookies.get(BEGUN, ""))
            answer = site.signed_in(site.sessions.begin(person, site.clock()), to, request)
        except (SignInRefused, SessionTooLarge) as error:
            answer = _asked(site, request, "/", _sentence(error), 403)
        answer.delete_cookie(BEGUN, path="/sign-in/return")
        return answer

    def out(its: Site, visit: Visit) -> Response:
        its.sessions.end(visit.session, its.clock())
        return its.signed_out()

    return [
        Route("/sign-in", sign_in, methods=["GET", "POST"]),
        Route("/sign-in/begin", begin),
        Route("/sign-in/return", return_),
        Route("/sign-out", door(site, out), methods=["POST"]),
    ]


def _by_token(site: Site, request: Request, token: str, to: str) -> Response:
    if not _attempt(site, request):
        return _asked(site, request, to, "Too many attempts; wait a minute.", 429)
    now_us = site.clock()
    found = None if site.tokens is None else site.tokens.signed_in(token, now_us)
    if found is None:
        return _asked(site, request, to, "This token is unknown, or past its day.", 403)
    return site.signed_in(site.sessions.begin(found.person(), now_us, found.id), to, request)


def _attempt(site: Site, request: Request) -> bool:
    return site.sign_ins.take(request.client.host if request.client else "", site.clock())


def _asked(site: Site, request: Request, to: str, problem: str = "", status: int = 200) -> Response:
    by_token, by_provider = site.tokens is not None, site.provider is not None
    return site.page(
        request, "sign_in.html", None, status, to=to, problem=problem, by_token=by_token, by_provider=by_provider
    )


def _to_sign_in(site: Site, request: Request) -> Response:
    """Lead somebody to the sign-in; from a link elsewhere the browser sends no cookie, so it is asked once more."""
    target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if request.method == "GET" and request.headers.get("sec-fetch-site") in {"cross-site", "same-site"}:
        return site.page(request, "signed_in.html", None, to=_within(target))
    return RedirectResponse(link("/sign-in", to="" if target == "/" or request.method != "GET" else target), 303)


def _within(target: str) -> str:
    """Return where to go, if that is a page of ours; else the first one."""
    ours = target.startswith("/") and not target.startswith("//") and "\\" not in target and target.isprintable()
    return target if ours and len(target) <= 2_000 else "/"


async def _form(request: Request) -> dict[str, str]:
    body = await request.body()
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        return {}
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=FIELDS_MAX))
    except ValueError:
        return {}


def _sentence(error: Exception) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."
