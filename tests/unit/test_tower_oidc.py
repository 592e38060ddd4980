"""Sign-in by an OpenID provider over real HTTP: what lets somebody in, and everything that does not (M35, A19)."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

import pytest
import requests
from joserfc.jwk import RSAKey

from tests.oidc_provider import CLIENT, SECRET, Provider
from tests.tower_site import SETTINGS, Tower, exception, sent

ROLES = """
[tower.oidc]
issuer = "{issuer}"
client_id = "{client}"
client_secret = {{ file = "secret" }}
[tower.oidc.roles.supervisors-a]
role = "plant-supervisor"
plants = ["A"]
[tower.oidc.roles.auditors]
role = "auditor"
"""
OTHER_KEY = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("oidc")
    (folder / "secret").write_text(SECRET + "\n")
    with Provider().serving() as provider:
        text = SETTINGS.replace('tokens = "tokens.toml"', 'public_url = "http://localhost:1"')
        with Tower(folder, text + ROLES.format(issuer=provider.issuer, client=CLIENT)).serving() as tower:
            yield tower, provider


@pytest.fixture
def provider(world):
    """The provider, well behaved at first and again afterwards."""
    before = dict(vars(world[1]))
    yield world[1]
    vars(world[1]).update(before, claims={}, answer={})


def begun(tower, to="/orders"):
    """Begin to sign in; return the visitor and what the provider leads her back with."""
    visitor = tower.visitor()
    answer = visitor.get("/sign-in/begin", params={"to": to})
    assert answer.status_code == 303, answer.text
    back = requests.get(answer.headers["location"], allow_redirects=False, timeout=20).headers["location"]
    assert back.startswith("http://localhost:1/sign-in/return?")
    return visitor, f"/sign-in/return?{urlsplit(back).query}"


def test_a_provider_lets_somebody_in_with_the_roles_it_names(world, provider):
    tower = world[0]
    visitor, back = begun(tower)
    answer = visitor.get(back, headers={"sec-fetch-site": "cross-site"})

    assert answer.status_code == 200, answer.text
    assert 'content="0;url=/orders"' in answer.text  # A page, no redirection: the cookie is a strict one.
    page = visitor.get("/").text
    assert "Anna Adams" in page
    assert "plant supervisor of A" in page
    it, other = exception(), exception(plant="B")
    tower.put(it, other)
    assert sent(visitor.decide(it)) == {"sent": "release"}
    assert visitor.decide(other).status_code == 403
    assert [action.actor for action in tower.actions()] == ["u-17"]
    assert visitor.get(back).status_code == 403  # The sign-in is over, and its code used up.
    asked = provider.asked[-1]
    assert asked["scope"] == "openid profile"
    assert len(asked["state"]) >= 43
    assert len(asked["nonce"]) >= 43


def test_a_key_that_is_new_is_fetched(world, provider):
    tower = world[0]
    tower.clock.ahead_us += 31_000_000
    provider.rotate()
    visitor, back = begun(tower)

    assert visitor.get(back).status_code == 200


def wrong(**claims):
    return lambda provider: provider.claims.update(claims)


def keyed(provider):
    provider.key = OTHER_KEY


NOT_LET_IN = {
    "another sign-in's nonce": wrong(nonce="x" * 43),
    "no nonce": wrong(nonce=None),
    "another client's": wrong(aud="other"),
    "also another client's, and for that": wrong(aud=[CLIENT, "other"], azp="other"),
    "for several, and it is not said for whom": wrong(aud=[CLIENT, "other"]),
    "another provider's": wrong(iss="https://evil.example"),
    "expired": wrong(exp=int(time.time()) - 3_600),
    "of tomorrow": wrong(iat=int(time.time()) + 86_400),
    "without an end": wrong(exp=None),
    "of nobody": wrong(sub=None),
    "of somebody with a strange name": wrong(sub="a\nb"),
    "of somebody without a role": wrong(groups=["everybody"]),
    "of somebody whose roles are not said": wrong(groups=None),
    "signed by another key": keyed,
    "not signed": lambda provider: setattr(provider, "algorithm", "none"),
    "signed by the public key": lambda provider: setattr(provider, "algorithm", "HS256"),
    "answer of another provider": lambda provider: provider.answer.update(iss="https://evil.example"),
    "answer to another sign-in": lambda provider: provider.answer.update(state="x" * 43),
    "refusal": lambda provider: provider.answer.update(code=None, error="access_denied"),
    "code of another sign-in": lambda provider: provider.answer.update(code="x"),
}


@pytest.mark.parametrize("what", NOT_LET_IN)
def test_nothing_else_lets_anybody_in(world, provider, what):
    NOT_LET_IN[what](provider)
    visitor, back = begun(world[0])
    answer = visitor.get(back)

    assert answer.status_code == 403, what
    assert "plantsync=" not in answer.headers.get("set-cookie", "").replace("plantsync-begun", "")
    assert visitor.get("/").status_code == 303


def test_an_answer_counts_only_in_the_browser_that_began(world):
    _, back = begun(world[0])

    assert world[0].visitor().get(back).status_code == 403
    assert begun(world[0])[0].get(back).status_code == 403


def test_a_sign_in_that_takes_too_long_is_begun_again(world):
    tower = world[0]
    visitor, back = begun(tower)
    try:
        tower.clock.ahead_us += 601_000_000
        assert visitor.get(back).status_code == 403
    finally:
        tower.clock.ahead_us -= 601_000_000


def test_a_provider_that_is_away_is_told(tmp_path):
    (tmp_path / "secret").write_text(SECRET)
    text = SETTINGS.replace('tokens = "tokens.toml"', 'public_url = "http://localhost:1"')
    with Tower(tmp_path, text + ROLES.format(issuer="http://127.0.0.1:1", client=CLIENT)).serving() as tower:
        answer = tower.visitor().get("/sign-in/begin")

        assert answer.status_code == 503
        assert "The provider cannot be reached" in answer.text
