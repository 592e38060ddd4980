"""What a check raises when the product breaks a promise."""

from __future__ import annotations


class Violation(AssertionError):
    """A promise that did not hold, in words that name the records."""


def require(holds: object, promise: str, *shown: object) -> None:
    """Raise unless it holds; what is shown is cut short."""
    if not holds:
        raise Violation(": ".join([promise, *(repr(value)[:400] for value in shown)]))
