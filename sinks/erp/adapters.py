"""Which adapter speaks to an ERP of which kind."""

from __future__ import annotations

from sinks.erp.port import ErpAdapter
from sinks.erp.sap import SapAdapter
from sinks.erp.settings import SapSettings


def open_adapter(settings: SapSettings) -> ErpAdapter:
    """Return the adapter of an ERP; nothing is connected until it is used."""
    return SapAdapter(settings)
