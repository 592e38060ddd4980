"""What the desk decided since the last look: all that a commit is to hold of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from canonical.contracts import BusinessException, Command, ComponentUsage, Unposted
from dataflows.processors.posting.documents import Made


@dataclass(slots=True)
class Outcome:
    """What was decided since the last look."""

    postings: list[Made] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    exceptions: list[BusinessException] = field(default_factory=list)
    usages: list[ComponentUsage] = field(default_factory=list)
    unposted: list[Unposted] = field(default_factory=list)
