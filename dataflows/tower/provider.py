"""Sign-in by an OpenID provider: authorization code with PKCE, state and nonce; roles from a claim.

Law: somebody is let in only by an ID token that the provider signed for this client, for the very sign-in that this
browser began, and that still holds. What was begun is kept by the browser, sealed, so nothing is kept here.

Source: OpenID Connect Core 1.0 section 3.1, RFC 7636 (PKCE), RFC 9207 (issuer in the answer), RFC 9700.
"""

from __future__ import annotations

import base64
import hmac
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

import requests
from authlib.common.errors import AuthlibBaseError  # type: ignore[import-untyped]
from authlib.integrations.requests_client import OAuth2Session  # type: ignore[import-untyped]
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from dataflows.settings.tower import OidcSection
from dataflows.tower.person import Person
from dataflows.tower.session import Seal

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures by a key that only the provider has: no shared secret, and never none."""
BEGUN_US: Final = 600_000_000
LEEWAY_S: Final = 60
TIMEOUT_S: Final = (5.0, 10.0)
KNOWN_US: Final = 3_600_000_000
FETCHED_US: Final = 30_000_000
"""Keys are asked for anew at most so often, whatever unknown key a token names."""
SUBJECT_MAX: Final = 256


class SignInRefused(Exception):
    """Somebody could not be signed in; the words are for her."""


class Provider:
    """The provider that the settings name."""

    def __init__(
        self,
        settings: OidcSection,
        return_to: str,
        seal: Seal,
        clock: Callable[[], int],
        chance: Callable[[int], bytes],
    ) -> None:
        """Ask the provider nothing yet; it leads back to ``return_to``."""
        self._settings, self._return_to, self._seal = settings, return_to, seal
        self._clock, self._chance = clock, chance
        self._lock = threading.Lock()
        self._known: tuple[int, dict[str, Any], KeySet] | None = None

    def begin(self, target: str) -> tuple[str, str]:
        """Return where the browser goes, and the cookie that it keeps meanwhile; afterwards it goes to ``target``.

        Raises: SignInRefused.
        """
        metadata, _ = self._provider()
        state, nonce, verifier = (_text(self._chance(32)) for _ in range(3))
        with self._client() as client:
            url, _ = client.create_authorization_url(
                metadata["authorization_endpoint"], state=state, nonce=nonce, code_verifier=verifier
            )
        begun = {"state": state, "nonce": nonce, "verifier": verifier, "target": target, "at_us": self._clock()}
        return url, self._seal.sign("begun", begun)

    def finish(self, answer: Mapping[str, str], cookie: str) -> tuple[Person, str]:
        """Return who has signed in, and where she wanted to go. Raises: SignInRefused."""
        begun = self._seal.read("begun", cookie)
        if begun is None or begun["at_us"] + BEGUN_US < self._clock():
            raise SignInRefused("this sign-in was not begun here, or too long ago; begin again")
        if not hmac.compare_digest(answer.get("state", "").encode(), begun["state"].encode()):
            raise SignInRefused("this answer is to another sign-in; begin again")
        if answer.get("iss", self._settings.issuer) != self._settings.issuer:
            raise SignInRefused("this answer is of another provider")
        if "code" not in answer:
            raise SignInRefused("the provider did not let you in")
        metadata, _ = self._provider()
        try:
            with self._client() as client:
                token = client.fetch_token(
                    metadata["token_endpoint"],
                    grant_type="authorization_code",
                    code=answer["code"],
                    code_verifier=begun["verifier"],
                    timeout=TIMEOUT_S,
                    allow_redirects=False,
                )
            claims = self._claims(str(token["id_token"]), begun["nonce"])
        except (AuthlibBaseError, OSError, KeyError, TypeError, ValueError) as error:
            raise SignInRefused(f"the provider gave no token: {type(error).__name__}; begin again") from error
        return self._person(claims), str(begun["target"])

    def _claims(self, token: str, nonce: str) -> dict[str, Any]:
        """Return the claims of an ID token that is meant for us and this sign-in. Raises: SignInRefused."""
        client_id = self._settings.client_id
        try:
            try:
                decoded = jwt.decode(token, self._provider()[1], algorithms=list(ALGORITHMS))
            except (JoseError, ValueError):  # Signed with a key that is newer than those we know?
                decoded = jwt.decode(token, self._provider(anew=True)[1], algorithms=list(ALGORITHMS))
            jwt.JWTClaimsRegistry(
                now=self._clock() // 1_000_000,
                leeway=LEEWAY_S,
                iss={"essential": True, "value": self._settings.issuer},
                aud={"essential": True, "value": client_id},
                sub={"essential": True},
                exp={"essential": True},
                iat={"essential": True},
                nonce={"essential": True, "value": nonce},
            ).validate(decoded.claims)
        except (JoseError, ValueError) as error:
            raise SignInRefused(f"the provider's token does not hold: {type(error).__name__}; begin again") from error
        claims: dict[str, Any] = decoded.claims
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", None if several else client_id) != client_id:
            raise SignInRefused("the provider's token is meant for another client")
        return claims

    def _person(self, claims: Mapping[str, Any]) -> Person:
        subject = claims.get(self._settings.subject_claim)
        if not isinstance(subject, str) or not 0 < len(subject) <= SUBJECT_MAX or not subject.isprintable():
            raise SignInRefused(f"the provider does not say who you are ({self._settings.subject_claim})")
        given = claims.get(self._settings.roles_claim, ())
        names = given.split() if isinstance(given, str) else [each for each in given if isinstance(each, str)]
        grants = tuple(
            self._settings.roles[name].grant() for name in dict.fromkeys(names) if name in self._settings.roles
        )
        if not grants:
            raise SignInRefused(f"no role follows from what the provider says of you ({self._settings.roles_claim})")
        name = claims.get("name", subject)
        return Person(subject, name if isinstance(name, str) and len(name) <= SUBJECT_MAX else subject, grants)

    def _client(self) -> Any:
        secret = self._settings.client_secret
        return OAuth2Session(
            self._settings.client_id,
            None if secret is None else secret.get_secret_value(),
            token_endpoint_auth_method="none" if secret is None else "client_secret_basic",
            scope=self._settings.scope,
            redirect_uri=self._return_to,
            code_challenge_method="S256",
        )

    def _provider(self, *, anew: bool = False) -> tuple[dict[str, Any], KeySet]:
        """Return the provider's own settings and keys, which are asked for when needed. Raises: SignInRefused."""
        with self._lock:
            now_us = self._clock()
            if self._known is None or self._known[0] + (FETCHED_US if anew else KNOWN_US) < now_us:
                try:
                    metadata = _asked(f"{self._settings.issuer}/.well-known/openid-configuration")
                    if metadata["issuer"] != self._settings.issuer:
                        raise SignInRefused("the provider calls itself otherwise than tower.oidc.issuer does")
                    self._known = (now_us, metadata, KeySet.import_key_set(_asked(metadata["jwks_uri"])))
                except (OSError, KeyError, TypeError, ValueError, JoseError) as error:
                    raise SignInRefused(f"the provider cannot be reached: {type(error).__name__}; try again") from error
            return self._known[1], self._known[2]


def _asked(url: str) -> Any:
    answer = requests.get(url, timeout=TIMEOUT_S, allow_redirects=False)
    answer.raise_for_status()
    return answer.json()


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
