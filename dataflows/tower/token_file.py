"""The file of tokens: who may sign in with one, until when; a token itself is nowhere but with its owner.

Law: the file holds SHA-256 of each token and never the token. That is enough, since a token is 256 random bits: nothing
that can be guessed is hashed. A token that is taken out of the file, or is past its day, ends its sessions at once.
"""

from __future__ import annotations

import base64
import hashlib
import os
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dataflows.tower.person import Grant, Person, Role
from sinks.commit_log import PlantsyncError

PREFIX: Final = "pst_"
TOKEN_BYTES: Final = 32
ID_BYTES: Final = 4
TOKENS_MAX: Final = 10_000
HEADER: Final = "# Tokens of the control tower: plantsync tower token adds one, and who takes its table out ends it.\n"


class TokensUnusable(PlantsyncError):
    """The file of tokens cannot be read or written."""


class Token(BaseModel):
    """One token as the file has it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(min_length=1, max_length=64)
    subject: str = Field(min_length=1, max_length=256)
    role: Role
    plants: tuple[str, ...] = ()
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    expires: datetime

    def person(self) -> Person:
        """Return who signs in with it."""
        return Person(self.subject, self.subject, (Grant(self.role, self.plants),))

    def holds(self, now_us: int) -> bool:
        """Return whether it is not past its day."""
        expires = self.expires if self.expires.tzinfo else self.expires.replace(tzinfo=UTC)
        return now_us < expires.timestamp() * 1e6


@dataclass(slots=True)
class _Read:
    stamp: tuple[int, int] = (0, 0)
    by_id: dict[str, Token] | None = None


class TokenFile:
    """The tokens that hold now: the file is read anew whenever it has changed."""

    def __init__(self, path: Path) -> None:
        """Read nothing yet."""
        self._path = path
        self._read = _Read()

    def signed_in(self, token: str, now_us: int) -> Token | None:
        """Return the entry of a token that holds; None where there is none. Raises: TokensUnusable."""
        # What is compared is a hash of what was sent, so how long it takes tells nothing about a token.
        digest = hashlib.sha256(token.encode()).hexdigest()
        found = next((each for each in self._tokens().values() if each.sha256 == digest), None)
        return found if found is not None and found.holds(now_us) else None

    def known(self, name: str, now_us: int) -> Token | None:
        """Return the entry of this id, where it still holds. Raises: TokensUnusable."""
        found = self._tokens().get(name)
        return found if found is not None and found.holds(now_us) else None

    def _tokens(self) -> dict[str, Token]:
        try:
            about = self._path.stat()
            stamp = (about.st_mtime_ns, about.st_ino)
            if self._read.by_id is None or stamp != self._read.stamp:
                content = tomllib.loads(self._path.read_text("utf-8")).get("token", [])
                tokens = [Token.model_validate(each) for each in content[:TOKENS_MAX]]
                self._read = _Read(stamp, {each.id: each for each in tokens})
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AttributeError) as error:
            # The message of a validation may quote a token that was put there by mistake.
            what = f"{error.error_count()} wrong values" if isinstance(error, ValidationError) else str(error)
            raise TokensUnusable(f"{self._path} cannot be used: {what}; mend it, see docs/tower.md") from error
        assert self._read.by_id is not None
        return self._read.by_id


def add_token(
    path: Path, subject: str, grant: Grant, expires: datetime, chance: Callable[[int], bytes]
) -> tuple[str, str]:
    """Make a token, put its entry into the file, and return (id, token): the only time that the token is seen.

    Raises: TokensUnusable.
    """
    TokenFile(path)._tokens()  # noqa: SLF001 - what cannot be read is not added to
    token = PREFIX + base64.urlsafe_b64encode(chance(TOKEN_BYTES)).rstrip(b"=").decode()
    name = chance(ID_BYTES).hex()
    entry = (
        f'\n[[token]]\nid = "{name}"\nsubject = {_quoted(subject)}\nrole = "{grant.role.value}"\n'
        f"plants = [{', '.join(map(_quoted, grant.plants))}]\n"
        f'sha256 = "{hashlib.sha256(token.encode()).hexdigest()}"\n'
        f"expires = {expires.astimezone(UTC).isoformat(timespec='seconds').replace('+00:00', 'Z')}\n"
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.read_text("utf-8") if path.exists() else HEADER
        beside = path.with_name(path.name + ".new")
        beside.unlink(missing_ok=True)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(before + entry)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise TokensUnusable(f"{path} cannot be written: {error.strerror}; check the folder and its rights") from error
    return name, token


def _quoted(text: str) -> str:
    """Return a text as TOML writes it; JSON's escapes are among TOML's."""
    return orjson.dumps(text).decode()
