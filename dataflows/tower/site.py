"""What every page of the control tower has at hand: settings, the watch, who is signed in, templates, static files."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, Final
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from canonical.contracts import ExceptionCode
from dataflows.settings import Settings
from dataflows.story import Story, story
from dataflows.tower import words
from dataflows.tower.allowance import Allowance
from dataflows.tower.person import Grant, Person, Role
from dataflows.tower.provider import Provider
from dataflows.tower.session import KEY_BYTES, Seal, Session, Sessions
from dataflows.tower.token_file import TokenFile
from dataflows.tower.watch import Watch
from sinks.commit_log import PlantsyncError

STORIES_MAX: Final = 2
"""Stories told at a time: each reads the log from its beginning."""
STORY_WAIT_S: Final = 5.0
"""Whoever waits longer for her turn is asked to come again: those who wait keep others from their pages."""
STATIC_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "woff2": "font/woff2",
    "svg": "image/svg+xml",
}


class Busy(PlantsyncError):
    """Others are being served; it may be tried again."""

    retryable = True


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of somebody who is signed in; ``form`` is what she has sent with it."""

    request: Request
    session: Session
    form: Mapping[str, str] = field(default_factory=dict)

    @property
    def person(self) -> Person:
        """Return who it is."""
        return self.session.person

    def asked(self, name: str) -> str:
        """Return a value of the query, cut to what a name may be long."""
        return self.request.query_params.get(name, "")[:256]


class Site:
    """One control tower."""

    def __init__(
        self, settings: Settings, operator: str, clock: Callable[[], int], chance: Callable[[int], bytes]
    ) -> None:
        """Look at nothing yet.

        Args: operator: who runs it, and who looks where nobody signs in. chance: bytes that nobody can guess.
        """
        tower = settings.tower
        self.settings, self.clock, self.chance = settings, clock, chance
        key = tower.session_key
        self.seal = Seal(chance(KEY_BYTES) if key is None else key.get_secret_value().encode())
        self.sessions = Sessions(self.seal, round(tower.session_s * 1e6), chance)
        self.tokens = None if tower.tokens is None else TokenFile(tower.tokens)
        back = f"{tower.public_url}/sign-in/return"
        self.provider = None if tower.oidc is None else Provider(tower.oidc, back, self.seal, clock, chance)
        self.sign_ins = Allowance(tower.sign_ins_max / 60, tower.sign_ins_max)
        self.watch = Watch(settings, clock)
        self._stories = threading.BoundedSemaphore(STORIES_MAX)
        self.cookie = "__Host-plantsync" if tower.secure else "plantsync"
        local = Person(operator, operator, (Grant(Role.AUDITOR),))
        self._local = None if tower.signs_in else Session("local", local, 2**62)
        self._static = _static_files()
        self._stamp = hashlib.sha256(b"".join(value for _, value in sorted(self._static.items()))).hexdigest()[:12]
        self._templates = Environment(
            loader=PackageLoader("dataflows.tower"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {
            "age": words.age,
            "amount": words.amount,
            "instant": words.instant,
            "short": words.short,
            "number": words.number,
            "unit": words.unit,
            "words": words.words,
        }
        self._templates.globals |= {"link": link, "static": self.static_link, "codes": list(ExceptionCode)}

    def session(self, request: Request) -> Session | None:
        """Return the session of a request, None where nobody is signed in. Raises: TokensUnusable."""
        if self._local is not None:
            return self._local
        now_us = self.clock()
        session = self.sessions.read(request.cookies.get(self.cookie, ""), now_us)
        if session is None or not session.token_id:
            return session
        # What the file says now counts: a token that was taken out, or given another role, has that effect at once.
        token = None if self.tokens is None else self.tokens.known(session.token_id, now_us)
        return None if token is None else Session(session.id, token.person(), session.expires_us, session.token_id)

    def story(self, subject: str, plant: str = "") -> Story:
        """Read the story of a posting, a confirmation, a document or an order. Raises: NothingKnown, Busy."""
        if not self._stories.acquire(timeout=STORY_WAIT_S):
            raise Busy("Others' stories are being read from the log; try again in a moment.")
        try:
            return story(self.settings, subject, plant)
        finally:
            self._stories.release()

    def page(
        self, request: Request, template: str, session: Session | None, status: int = 200, **more: Any
    ) -> Response:
        """Return a page."""
        now_us, tower = self.clock(), self.settings.tower
        picture = self.watch.picture
        as_of_us = picture.as_of_us()
        context = {
            "path": request.url.path,
            "session": session,
            "person": None if session is None else session.person,
            "form_token": "" if session is None else self.sessions.form_token(session),
            "local": self._local is not None,
            "now_us": now_us,
            "picture": picture,
            "as_of_us": as_of_us,
            "old": now_us - min(as_of_us, picture.box_at_us) > tower.stale_after_s * 1e6,
            "stale_after_s": tower.stale_after_s,
            "wall": request.query_params.get("wall") == "1",
            "open": len(picture.box.open()),
            **more,
        }
        return HTMLResponse(self._templates.get_template(template).render(context), status)

    def static_link(self, name: str) -> str:
        """Return where a static file is, under a name that changes with the content of any."""
        assert name in self._static
        return f"/static/{self._stamp}/{name}"

    def static_file(self, request: Request) -> Response:
        """Return a static file."""
        name, stamp = request.path_params["name"], request.path_params["stamp"]
        content = self._static.get(name)
        if content is None or stamp != self._stamp:
            return Response("There is no such file.\n", 404)
        headers = {"cache-control": "public, max-age=31536000, immutable"}
        return Response(content, 200, headers, STATIC_TYPES[name.rpartition(".")[2]])

    def signed_in(self, cookie: str, to: str, request: Request) -> Response:
        """Return the answer that gives a browser its session.

        It is a page and no redirection: a browser that comes from the provider would not send the cookie with that.
        """
        answer = self.page(request, "signed_in.html", None, to=to)
        age_s = round(self.settings.tower.session_s)
        answer.set_cookie(
            self.cookie, cookie, age_s, path="/", secure=self.settings.tower.secure, httponly=True, samesite="strict"
        )
        return answer

    def signed_out(self) -> Response:
        """Return the answer that takes a browser's session away."""
        answer = RedirectResponse("/sign-in", 303)
        answer.delete_cookie(self.cookie, path="/", secure=self.settings.tower.secure, httponly=True, samesite="strict")
        return answer


def link(path: str, /, **query: object) -> str:
    """Return a link within the site; what is empty is left out."""
    given = {name: str(value) for name, value in query.items() if value not in ("", None, False)}
    return quote(path) + (f"?{urlencode(given)}" if given else "")


def _static_files() -> dict[str, bytes]:
    """Return each static file's content."""
    folder = resources.files("dataflows.tower") / "static"
    return {each.name: each.read_bytes() for each in folder.iterdir() if each.name.rpartition(".")[2] in STATIC_TYPES}
