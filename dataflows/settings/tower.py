"""Settings of the control tower: ``[tower]`` says where it listens and who may do what."""

from __future__ import annotations

from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from canonical.mapping.problems import refused
from dataflows.section import Interval, Place, Section
from dataflows.settings.slo import Secret
from dataflows.tower.person import Grant, Role
from sinks.loopback import is_loopback

SESSION_KEY_MIN: Final = 32


def _url(value: str) -> str:
    """Return a server's address without a slash at its end; what goes there in clear text stays on this machine."""
    parts = urlsplit(value)
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback((parts.hostname or "").lower())):
        return value.rstrip("/")
    raise refused(f"{value} is neither https nor on this machine", "tokens and sessions may not travel in clear text")


def _listen(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise refused(f"{value!r} is no address", 'such as "127.0.0.1:8080", "[::]:8080" or "0.0.0.0:8443"')
    return value


class GrantSection(Section):
    """What a value of the roles claim stands for."""

    role: Role = Field(description="The role.")
    plants: tuple[str, ...] = Field(default=(), description="Of a plant supervisor: the plants.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.role is Role.PLANT_SUPERVISOR) != bool(self.plants):
            raise refused("a plant supervisor has plants, and nobody else", 'such as plants = ["A"]')
        return self

    def grant(self) -> Grant:
        """Return it as it is asked about."""
        return Grant(self.role, self.plants)


class OidcSection(Section):
    """Sign-in by an OpenID provider: authorization code with PKCE."""

    issuer: Annotated[str, AfterValidator(_url)] = Field(description="The provider; it is asked for its own settings.")
    client_id: str = Field(min_length=1, description="This client, as the provider knows it.")
    client_secret: Secret | None = Field(default=None, description="Its secret; none: a public client.")
    scope: str = Field(default="openid profile", description="What is asked for; openid is among it.")
    subject_claim: str = Field(default="sub", description="Names who acts, in the audit trail; must be unique.")
    roles_claim: str = Field(default="groups", description="Claim of the ID token that roles follow from.")
    roles: dict[str, GrantSection] = Field(
        default={}, description="Role, and plants of a plant supervisor, by value of that claim."
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if "openid" not in self.scope.split():
            raise refused("scope lacks openid", 'such as "openid profile groups"')
        return self


class TowerSection(Section):
    """The control tower: where it listens, who may do what, and its bounds."""

    listen: Annotated[str, AfterValidator(_listen)] = Field(
        default="127.0.0.1:8080", description="Address and port; others can reach it only with sign-in."
    )
    public_url: Annotated[str, AfterValidator(_url)] | None = Field(
        default=None, description="What people type, where it is not `listen`; OIDC leads back there."
    )
    certificate: Place | None = Field(default=None, description="Certificate chain of TLS, PEM.")
    key: Place | None = Field(default=None, description="Its private key, PEM.")
    tokens: Place | None = Field(default=None, description="File of tokens; `plantsync tower token` adds one.")
    session_key: Secret | None = Field(
        default=None, description="Signs sessions, 32 characters and more; none: all end when it is started anew."
    )
    session_s: Interval = Field(default=28_800.0, description="A session ends so long after sign-in.")
    refresh_s: Interval = Field(default=2.0, description="Wait between two looks at the store and the log.")
    health_interval_s: Interval = Field(default=15.0, description="The same at flows and ERPs.")
    stale_after_s: Interval = Field(default=60.0, description="Figures that are older are told to be.")
    streams_max: int = Field(default=200, ge=1, le=10_000, description="Pages that are kept up to date at a time.")
    requests_per_s: float = Field(default=20.0, gt=0, le=10_000, description="Of one address, on average.")
    requests_max: int = Field(default=100, ge=1, le=10_000, description="Of one address at once.")
    sign_ins_max: int = Field(default=10, ge=1, le=1_000, description="Attempts of one address in a minute.")
    oidc: OidcSection | None = Field(default=None, description="Sign-in by an OpenID provider.")

    @model_validator(mode="after")
    def _safe(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise refused("certificate and key need each other", "name both, or neither")
        if self.session_key is not None and len(self.session_key.get_secret_value()) < SESSION_KEY_MIN:
            raise refused("session_key is short", f"{SESSION_KEY_MIN} characters that nobody can guess")
        if self.oidc is not None and self.public_url is None:
            raise refused("oidc needs public_url", "the provider leads back there, so it has to know it")
        return self

    @property
    def signs_in(self) -> bool:
        """Return whether there is a way to sign in."""
        return self.tokens is not None or self.oidc is not None

    @property
    def secure(self) -> bool:
        """Return whether browsers speak TLS with it."""
        return self.certificate is not None or (self.public_url or "").startswith("https:")

    def address(self, listen: str) -> tuple[str, int]:
        """Return host and port to bind; ``listen`` goes before the setting.

        Raises: ValueError, where others could reach it who may not, or in clear text.
        """
        host, _, port = _listen(listen or self.listen).rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not is_loopback(host.lower()):
            if not self.signs_in:
                raise ValueError(
                    f"others can reach {host}, and nobody has to sign in; "
                    "set tower.tokens or tower.oidc, or listen on 127.0.0.1"
                )
            if not self.secure:
                raise ValueError(
                    f"others can reach {host}, and sign-in would travel in clear text; set tower.certificate and "
                    "tower.key, or tower.public_url where a proxy before it speaks TLS"
                )
        return host, int(port)
