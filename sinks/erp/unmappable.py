"""What the adapter itself finds: a posting that cannot be written in the ERP's terms."""

from __future__ import annotations

from sinks.erp.port import Answer, Outcome


class Unmappable(Exception):
    """A posting has no form in this ERP; the same posting will have none tomorrow.

    Args:
        what: of the code PLANTSYNC/<what>.
        message: what is wrong with what, and what to do.
    """

    retryable = False

    def __init__(self, what: str, message: str) -> None:
        super().__init__(message)
        self.what = what

    def answer(self) -> Answer:
        """Return it as the refusal that it is; nothing was sent."""
        return Answer(Outcome.REJECTED, code=f"PLANTSYNC/{self.what}", message=str(self))
