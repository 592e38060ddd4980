"""Settings of a collector of a folder of an SFTP server: ``protocol = "sftp"``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from canonical.mapping.problems import refused
from dataflows.section import Interval, Section


class SftpCollector(Section):
    """A folder of an SFTP server, whose files land in the drop folder of a plant."""

    protocol: Literal["sftp"] = Field(description="A folder of an SFTP server.")
    host: str = Field(min_length=1, description="Where the server listens.")
    port: int = Field(default=22, ge=1, le=65_535, description="Its port.")
    known_hosts: Path = Field(description="File with the server's key, as OpenSSH writes it; no other is trusted.")
    user: str = Field(min_length=1, description="Whom the server knows us as.")
    password: SecretStr | None = Field(default=None, description="Hers.")
    key_file: Path | None = Field(
        default=None, description="Her private key without a passphrase, in place of a password."
    )
    path: str = Field(default=".", min_length=1, max_length=1_024, description="The folder at the server.")
    pattern: str = Field(default="*", min_length=1, description="Names of the files that are fetched.")
    into: str = Field(min_length=1, description="`input.folder` of the plant's mapping, where they land.")
    every_s: Interval = Field(default=30.0, description="Time between two looks when there was nothing more.")
    settle_s: float = Field(default=10.0, ge=0, le=86_400, description="A file is fetched when unchanged so long.")
    timeout_s: Interval = Field(default=30.0, description="Wait for an answer.")
    file_bytes_max: int = Field(default=1 << 30, ge=1, le=1 << 40, description="A longer file is refused.")
    files_max: int = Field(default=100_000, ge=1, description="Files in the folder; with more it is not read.")

    @model_validator(mode="after")
    def _known(self) -> Self:
        if (self.password is None) == (self.key_file is None):
            raise refused("nothing shows who we are, or two things do", "set either password or key_file")
        return self
