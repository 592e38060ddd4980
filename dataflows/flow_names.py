"""The names of the flows, by which settings, commands and the commit log know them."""

from __future__ import annotations

from typing import Final, Literal

FlowName = Literal["collect", "confirmations", "postings", "delivery", "analytics"]

COLLECT: Final = "collect"
CONFIRMATIONS: Final = "confirmations"
POSTINGS: Final = "postings"
DELIVERY: Final = "delivery"
ANALYTICS: Final = "analytics"
