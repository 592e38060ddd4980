"""The control tower over HTTP: who gets in, what each may decide, and what no other site can make a browser do.

M35, M39, A19. The browser itself is in tests/e2e/test_tower.py.
"""

from __future__ import annotations

import itertools
import re
import threading

import pytest
import requests

from dataflows.settings import SettingsInvalid, load
from dataflows.tower.allowance import ADDRESSES_MAX, Allowance
from dataflows.tower.chart import scale, stacked
from dataflows.tower.gate import BODY_BYTES_MAX, HEADERS
from dataflows.tower.person import Grant, Person, Role
from dataflows.tower.server import AddressUnusable, serve
from dataflows.tower.session import Seal, Sessions, SessionTooLarge
from dataflows.tower.token_file import TokenFile, TokensUnusable
from dataflows.tower.words import age, amount, number, words
from sinks.commit_log import PlantsyncError
from tests.tower_site import SETTINGS, Tower, Visitor, exception, in_days, sent, until

PAGES = ("/", "/exceptions", "/exceptions/x", "/orders", "/order", "/story", "/production", "/trail")
NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def tower(tmp_path_factory):
    with Tower(tmp_path_factory.mktemp("tower")).serving() as made:
        made.token("viewer", subject="vera")
        made.put(exception())
        yield made


@pytest.fixture(scope="module")
def people(tower):
    return {
        "viewer": tower.visitor(tower.token("viewer", subject="vera")),
        "auditor": tower.visitor(tower.token("auditor", subject="otto")),
        "supervisor of A": tower.visitor(tower.token("plant-supervisor", "A", subject="anna")),
        "supervisor of B": tower.visitor(tower.token("plant-supervisor", "B", subject="bert")),
        "support": tower.visitor(tower.token("integration-support", subject="sara")),
    }


# -- who gets in ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_nobody_gets_in_without_signing_in(tower, page):
    answer = tower.visitor().get(page)

    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in")


def test_neither_does_a_form_or_a_stream(tower):
    visitor = tower.visitor()

    assert visitor.post("/exceptions/x/release", reason="x").status_code == 303
    assert visitor.get("/live").status_code == 401
    assert visitor.get("/healthz").text == "ok\n"


def test_a_token_opens_a_session_whose_cookie_no_script_sees(tower):
    visitor = tower.visitor()
    answer = visitor.sign_in(tower.token("viewer"), to="/orders?plant=A")

    assert 'content="0;url=/orders?plant=A"' in answer.text
    cookie = answer.headers["set-cookie"].lower()
    assert {"httponly", "samesite=strict", "path=/"} <= {part.strip() for part in cookie.split(";")}
    assert visitor.get("/").status_code == 200


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:1", "/\n/"]
)
def test_signing_in_leads_nowhere_else(tower, target):
    answer = tower.visitor().sign_in(tower.token("viewer"), to=target)

    assert 'content="0;url=/"' in answer.text


def test_unknown_and_expired_tokens_are_refused(tower):
    expired = tower.token("integration-support", expires=in_days(-1))

    for token in ("", "pst_unknown", expired, "ä"):
        answer = tower.visitor().sign_in(token)
        assert answer.status_code == 403
        assert "unknown, or past its day" in answer.text
        assert "set-cookie" not in answer.headers


def test_a_session_ends_with_its_token(tower):
    file = tower.folder / "tokens.toml"
    before = file.read_text()
    visitor = tower.visitor(tower.token("viewer", subject="gone"))
    assert visitor.get("/").status_code == 200

    file.write_text(before)

    assert visitor.get("/").status_code == 303


def test_a_session_ends_by_itself(tower):
    visitor = tower.visitor(tower.token("viewer"))
    try:
        tower.clock.ahead_us = 8 * 3_600_000_000 + 1_000_000
        assert visitor.get("/").status_code == 303
    finally:
        tower.clock.ahead_us = 0
    assert visitor.get("/").status_code == 200


def test_signing_out_ends_the_session_wherever_its_cookie_is(tower):
    visitor = tower.visitor(tower.token("viewer"))
    cookie = dict(visitor.http.cookies)
    assert visitor.post("/sign-out", form_token=visitor.form_token()).headers["location"] == "/sign-in"

    assert visitor.get("/", cookies=cookie).status_code == 303


def test_a_cookie_that_was_changed_or_made_elsewhere_does_not_count(tower, people):
    cookie = people["viewer"].http.cookies["plantsync"]
    body, signature = cookie.split(".")
    others = Sessions(Seal(b"k" * 32), 10**12, lambda count: b"x" * count)
    for forged in (
        f"{body[:-2]}AA.{signature}",
        f"{body}.{'0' * 64}",
        body,
        "",
        ".",
        "ä.ä",
        others.begin(Person("eve", "eve", (Grant(Role.INTEGRATION_SUPPORT),)), tower.clock()),
    ):
        answer = requests.get(f"{tower.url}/", cookies={"plantsync": forged}, allow_redirects=False, timeout=20)
        assert answer.status_code == 303, forged


def test_grants_that_no_cookie_holds_are_refused_not_cut():
    sessions = Sessions(Seal(b"k" * 32), 10**12, lambda count: b"x" * count)
    everywhere = Grant(Role.PLANT_SUPERVISOR, tuple(f"plant-{n}" for n in range(1_000)))

    with pytest.raises(SessionTooLarge):
        sessions.begin(Person("a", "a", (everywhere,)), 0)


def test_a_link_from_elsewhere_is_opened_once_more_by_the_page_itself(tower):
    visitor = tower.visitor()
    answer = visitor.get("/exceptions?plant=A", headers={"sec-fetch-site": "cross-site"})

    assert answer.status_code == 200
    assert 'content="0;url=/exceptions?plant=A"' in answer.text  # Now the browser sends a strict cookie, too.


def test_a_file_of_tokens_that_cannot_be_used_says_so_and_no_token(tmp_path):
    file = tmp_path / "tokens.toml"
    file.write_text('[[token]]\nid = "a"\nsubject = "a"\nrole = "viewer"\nsha256 = "pst_oops"\nexpires = 2036-01-01\n')

    with pytest.raises(TokensUnusable, match="wrong values") as raised:
        TokenFile(file).signed_in("x", 0)
    assert "oops" not in str(raised.value)


def test_while_the_file_of_tokens_cannot_be_used_nobody_gets_in_and_nobody_is_told_more(tower):
    file = tower.folder / "tokens.toml"
    visitor, before = tower.visitor(tower.token("viewer")), file.read_text()
    try:
        file.write_text("[[token]")
        for answer in (visitor.get("/"), visitor.sign_in("pst_x")):
            assert answer.status_code == 503
            assert "tokens.toml" not in answer.text
    finally:
        file.write_text(before)
    assert visitor.get("/").status_code == 200


def test_who_waits_too_long_for_a_story_is_asked_to_come_again(tower, people, monkeypatch):
    monkeypatch.setattr("dataflows.tower.site.STORY_WAIT_S", 0.01)
    monkeypatch.setattr(tower.site, "_stories", threading.BoundedSemaphore(1))
    with tower.site._stories:
        assert people["viewer"].get("/story?of=x").status_code == 503
    assert people["viewer"].get("/story?of=x").status_code == 404


def test_a_token_is_nowhere_in_its_file(tower):
    token = tower.token("viewer")
    text = (tower.folder / "tokens.toml").read_text()

    assert token not in text
    assert token[4:] not in text
    assert (tower.folder / "tokens.toml").stat().st_mode & 0o077 == 0


# -- what each may decide --------------------------------------------------------------------------------

OWN = {"code": "ORDER_NOT_RELEASED", "plant": "A"}
MATRIX = [
    # who, exception, what she may decide
    ("viewer", OWN, ()),
    ("auditor", OWN, ()),
    ("supervisor of A", OWN, ("release", "reprocess")),
    ("supervisor of B", OWN, ()),
    ("support", OWN, ("release", "reprocess", "discard")),
    ("supervisor of A", {"code": "ERP_REJECTED", "plant": "A", "erp": "s4"}, ()),  # integration support owns it
    ("supervisor of A", {"code": "QUALITY_RELEASE_MISSING", "plant": ""}, ()),  # concerns several plants
    ("support", {"code": "ERP_REJECTED", "plant": "A", "erp": "s4"}, ("release", "reprocess", "discard")),
]


@pytest.mark.parametrize(("who", "about", "may"), MATRIX)
def test_each_decides_what_her_role_may_and_the_log_says_who_and_why(tower, people, who, about, may):
    subject = {"supervisor of A": "anna", "supervisor of B": "bert", "support": "sara"}.get(who)
    for kind in ("release", "reprocess", "discard"):
        it = exception(number=next(NUMBERS), **about)
        tower.put(it)
        before = len(tower.actions())
        answer = people[who].decide(it, kind, reason=f"{kind} by {who}")
        written = tower.actions()[before:]
        if kind in may:
            assert sent(answer) == {"sent": kind}
            ((action, entry),) = zip(written, tower.trail()[before:], strict=True)
            assert (action.kind, action.exception_id) == (kind, str(it.exception_id))
            assert (action.actor, action.reason) == (subject, f"{kind} by {who}")
            assert (entry.chain, entry.action, entry.actor, entry.reason) == ("operator", kind, subject, action.reason)
            until(lambda it=it: tower.site.watch.picture.box.decided(it))
            assert "not taken in yet" in people[who].get(f"/exceptions/{it.exception_id}").text
        else:
            assert answer.status_code == 403
            assert written == []


def test_the_page_offers_what_may_be_decided_and_says_why_not(tower, people):
    it = exception(number=next(NUMBERS))
    tower.put(it)
    path = f"/exceptions/{it.exception_id}"

    assert people["supervisor of A"].get(path).text.count('<form method="post" action="/exceptions/') == 2
    assert "Not by you: you decide for plant B only" in people["supervisor of B"].get(path).text
    assert people["viewer"].get(path).text.count("Not by you: you may look, and decide nothing") == 3


@pytest.mark.parametrize("reason", ["", "   ", "x" * 1_001, "two\nlines"])
def test_a_decision_needs_a_reason(tower, people, reason):
    before = len(tower.actions())

    assert "Say why" in sent(people["support"].decide(exception(), reason=reason))["problem"]
    assert len(tower.actions()) == before


def test_what_does_nothing_is_not_written(tower, people):
    ended = exception(number=next(NUMBERS), resolution="released", resolved_us=2)
    bound = exception("BOUND_REACHED", number=next(NUMBERS))
    tower.put(ended, bound)
    before = len(tower.actions())

    assert "it has ended" in sent(people["support"].decide(ended))["problem"]
    assert "would do nothing" in sent(people["support"].decide(bound))["problem"]
    assert people["support"].decide(exception(number=9_999)).status_code == 404
    assert people["support"].decide(exception(), kind="reverse").status_code == 404
    assert len(tower.actions()) == before


def test_only_support_takes_postings_back(people):
    name = "4e4b1bd0-5f3c-5d0a-8a3c-0d5b9a0e6f11"

    for who, status in (("viewer", 403), ("supervisor of A", 403), ("auditor", 403), ("support", 404)):
        person = people[who]
        answer = person.post(f"/postings/{name}/reverse", form_token=person.form_token(), reason="twice")
        assert answer.status_code == status, who
    assert (
        people["support"].post("/postings/x/reverse", form_token=people["support"].form_token(), reason="x").status_code
        == 404
    )


def test_the_trail_is_for_auditors_and_support(people):
    seen = {who: person.get("/trail").status_code for who, person in people.items()}

    # 503: nothing has been published here.
    assert seen == {"viewer": 403, "supervisor of A": 403, "supervisor of B": 403, "auditor": 503, "support": 503}


# -- what no other site can do ---------------------------------------------------------------------------


def test_a_form_counts_only_from_a_page_of_its_own_session(tower, people):
    support, own = people["support"], exception()
    path, token = f"/exceptions/{own.exception_id}/release", support.form_token()
    before = len(tower.actions())

    for headers, given in (
        ({}, ""),
        ({}, people["viewer"].form_token()),
        ({}, token[:-1] + "ä"),
        ({"origin": "https://evil.example"}, token),
        ({"origin": "null"}, token),
        ({"sec-fetch-site": "cross-site"}, token),
        ({"sec-fetch-site": "same-site"}, token),
        ({"origin": None, "sec-fetch-site": None}, token),
        ({"content-type": "text/plain"}, token),
    ):
        answer = support.post(path, headers, form_token=given, reason="forged")
        assert answer.status_code == 403, (headers, given)
    assert support.get(path).status_code == 405
    assert len(tower.actions()) == before
    assert support.post(path, {"sec-fetch-site": None}, form_token=token, reason="old browser").status_code == 303


def test_every_answer_has_its_headers(tower, people):
    answers = [people["viewer"].get(page) for page in ("/", "/nowhere", "/trail", "/orders", "/healthz")]
    with people["viewer"].get("/live", stream=True) as live:
        answers.append(live)
    static = re.search(r'href="(/static/\w+/tower.css)"', answers[0].text)[1]
    answers += [tower.visitor().get(static), tower.visitor().get("/static/x/tower.css"), tower.visitor().get("/")]
    answers += [people["viewer"].post("/sign-out", {"origin": "https://evil.example"})]
    answers.append(requests.put(f"{tower.url}/", timeout=20))

    assert [answer.status_code for answer in answers] == [200, 404, 403, 503, 200, 200, 200, 404, 303, 403, 405]
    for answer in answers:
        assert HEADERS.items() <= {name.lower(): value for name, value in answer.headers.items()}.items()
        assert "server" not in answer.headers
        stays = "public" if answer.url.endswith(static) else "no-store"
        assert answer.headers["cache-control"].startswith(stays)


def test_pages_hold_nothing_that_the_policy_forbids(tower, people):
    pages = [people["support"].get("/"), people["support"].get(f"/exceptions/{exception().exception_id}")]
    for page in [*pages, tower.visitor().get("/sign-in")]:
        text = page.text
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|<script(?! src=\"/static/)", text)
        assert not re.search(r"(src|href|action)=\"(https?:)?//", text)


def test_what_others_wrote_is_shown_as_text(tower, people):
    bad = "<script>alert(1)</script>\"'&"
    tower.put(exception(number=next(NUMBERS), message=bad, order=bad, material=bad, lot=bad, remedy=bad))

    for page in ("/", "/exceptions?order=%3Cscript%3E"):
        text = people["viewer"].get(page).text
        assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)" in people["viewer"].get("/exceptions").text


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", ""])
def test_other_names_for_this_machine_are_not_answered(tower, host):
    assert tower.visitor().get("/sign-in", headers={"host": host}).status_code == 421


def test_requests_have_bounds(tower, people):
    assert people["viewer"].get("/?" + "x" * 5_000).status_code == 414
    body = b"form_token=" + b"x" * BODY_BYTES_MAX
    for sent_ in (body, iter([body])):  # With its length told before, and without.
        headers = {"origin": tower.url, "content-type": "application/x-www-form-urlencoded"}
        answer = people["viewer"].http.post(f"{tower.url}/sign-out", data=sent_, headers=headers, timeout=20)
        assert answer.status_code == 413
    assert people["viewer"].get("/").status_code == 200


def test_an_address_that_asks_too_much_waits(tmp_path):
    text = SETTINGS.replace("requests_max = 1000", "requests_max = 4").replace("_per_s = 1000", "_per_s = 0.001")
    with Tower(tmp_path, text.replace("sign_ins_max = 1000", "sign_ins_max = 2")).serving() as tower:
        visitor = tower.visitor()
        assert [visitor.sign_in("pst_guess").status_code for _ in range(3)] == [403, 403, 429]
        assert [visitor.get("/healthz").status_code for _ in range(2)] == [200, 429]


def test_buckets_fill_up_and_are_bounded():
    allowance = Allowance(2.0, 3)

    assert [allowance.take("a", 0) for _ in range(4)] == [True, True, True, False]
    assert [allowance.take("a", 500_000) for _ in range(2)] == [True, False]
    assert allowance.take("b", 500_000)
    for n in range(ADDRESSES_MAX + 5):
        allowance.take(str(n), 600_000)
    assert len(allowance._left) == ADDRESSES_MAX


# -- live, and where it may listen -----------------------------------------------------------------------


def test_a_stream_tells_of_what_is_new_and_ends_with_its_session(tower):
    file = tower.folder / "tokens.toml"
    before = file.read_text()
    visitor = tower.visitor(tower.token("viewer", subject="streamer"))
    with visitor.get("/live", stream=True) as stream:
        lines = stream.iter_lines(decode_unicode=True)
        first = next(line for line in lines if line.startswith("data:"))
        tower.put(exception(number=next(NUMBERS)))
        assert next(line for line in lines if line.startswith("data:")) != first
        file.write_text(before)
        tower.put(exception(number=next(NUMBERS)))
        assert "event: over" in list(lines)


def test_no_more_streams_than_the_settings_allow(tmp_path):
    with Tower(tmp_path, SETTINGS + "streams_max = 1\n").serving() as tower:
        visitor = tower.visitor(tower.token("viewer"))
        with visitor.get("/live", stream=True) as stream:
            lines = stream.iter_lines()
            next(lines)
            assert visitor.get("/live").status_code == 503


def test_without_sign_in_it_is_only_looked_at_and_only_from_here(tmp_path):
    with Tower(tmp_path, SETTINGS.replace('tokens = "tokens.toml"', "")).serving() as tower:
        visitor, it = Visitor(tower.url), exception()
        tower.put(it)
        assert "operator@here" in visitor.get("/").text
        answer = visitor.post(f"/exceptions/{it.exception_id}/release", reason="x", form_token="")
        assert answer.status_code == 403
        token = tower.site.sessions.form_token(tower.site._local)
        answer = visitor.post(f"/exceptions/{it.exception_id}/release", reason="x", form_token=token)
        assert answer.status_code == 403
        assert tower.actions() == []
        with pytest.raises(PlantsyncError, match="nobody has to sign in; set tower"):
            serve(tower.site, "0.0.0.0:0", print)
        with pytest.raises(AddressUnusable, match="choose another --listen"):
            serve(tower.site, tower.url.removeprefix("http://"), print)


TLS = 'certificate = "c.pem"\nkey = "k.pem"\n'


@pytest.mark.parametrize(
    ("more", "listen", "problem"),
    [
        ("", "127.0.0.1:8080", ""),
        ("", "[::1]:0", ""),
        ("", "0.0.0.0:8080", "clear text"),
        (TLS, "0.0.0.0:8443", ""),
        ('public_url = "https://tower.example"\n', "10.1.2.3:8080", ""),
        ('public_url = "http://localhost:8080"\n', "0.0.0.0:8080", "clear text"),
    ],
)
def test_it_listens_where_sign_in_is_safe(tmp_path, more, listen, problem):
    settings = Tower(tmp_path, SETTINGS + more).settings.tower
    if problem:
        with pytest.raises(ValueError, match=problem):
            settings.address(listen)
    else:
        assert settings.address(listen)[1] == int(listen.rpartition(":")[2])


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ('public_url = "http://tower.example"', "neither https nor on this machine"),
        ('certificate = "c.pem"', "certificate and key need each other"),
        ('session_key = "short"', "session_key is short"),
        ('session_key = { env = "NOT_SET" }', "NOT_SET is not set"),
        ('listen = "8080"', "is no address"),
        ('oidc = { issuer = "https://id.example", client_id = "t" }', "oidc needs public_url"),
        ('oidc = { issuer = "http://id.example", client_id = "t" }', "neither https"),
        ('[tower.oidc.roles.x]\nrole = "plant-supervisor"', "a plant supervisor has plants"),
    ],
)
def test_settings_that_are_not_safe_are_refused(tmp_path, more, problem):
    (tmp_path / "plantsync.toml").write_text(SETTINGS + more + "\n")
    with pytest.raises(SettingsInvalid, match=problem):
        load(tmp_path / "plantsync.toml")


def test_behind_tls_the_cookie_never_travels_in_clear(tmp_path):
    with Tower(tmp_path, SETTINGS + 'public_url = "https://tower.example"\n').serving() as tower:
        answer = tower.visitor().sign_in(tower.token("viewer"))

        assert answer.headers["set-cookie"].startswith("__Host-plantsync=")
        assert "; Secure" in answer.headers["set-cookie"]
        assert answer.headers["strict-transport-security"] == "max-age=31536000"


# -- words and charts ------------------------------------------------------------------------------------


def test_lengths_of_time_and_numbers_as_people_write_them():
    assert [age(us * 1_000_000) for us in (0, 59, 60, 3_599, 3_600, 90_000)] == [
        *("0 s", "59 s", "1 min", "59 min", "1 h 0 min", "1 d 1 h"),
    ]
    assert [number(value) for value in (None, 0, 12_345, 0.5, 61.725)] == ["0", "0", "12,345", "0.5", "61.725"]
    assert [amount(text) for text in ("937.000 H87", "0.500 XYZ")] == ["937 pcs", "0.5 XYZ"]
    assert [words(code) for code in ("ERP_ORDER_LOCKED", "line-stop")] == ["ERP order locked", "Line stop"]


@pytest.mark.parametrize(("most", "top"), [(0, 1), (1, 1), (499, 600), (399, 400), (7, 8), (0.03, 0.03)])
def test_an_axis_ends_little_above_what_it_shows(most, top):
    assert scale(most)[0] == pytest.approx(top)


def test_bars_stand_on_each_other_and_within_their_box():
    chart = stacked([("a", (("good", 6), ("scrap", 2))), ("b", (("good", 0), ("scrap", 8)))], 100, 50)

    assert [(kind, y, tall) for bar in chart.bars for kind, y, tall in bar.parts] == [
        ("good", 12.5, 37.5),
        ("scrap", 0.0, 12.5),
        ("scrap", 0.0, 50.0),
    ]
    assert [label for _, label in chart.ticks] == ["0", "2", "4", "6", "8"]
