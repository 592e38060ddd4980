"""Which adapter speaks to an ERP of which kind."""

from __future__ import annotations

from sinks.erp.d365 import D365Adapter
from sinks.erp.drop import DropAdapter
from sinks.erp.oracle import OracleAdapter
from sinks.erp.pace import Pace
from sinks.erp.port import ErpAdapter
from sinks.erp.sap import SapAdapter
from sinks.erp.settings import D365Settings, DropSettings, OracleSettings, SapSettings


def open_adapter(
    settings: SapSettings | OracleSettings | D365Settings | DropSettings, pace: Pace | None = None
) -> ErpAdapter:
    """Return the adapter of an ERP; nothing is connected until it is used.

    Args:
        settings: what the ERP is and how it is reached.
        pace: holds back each request over HTTP; none: as fast as it is called.
    """
    match settings:
        case SapSettings():
            return SapAdapter(settings, pace)
        case OracleSettings():
            return OracleAdapter(settings, pace)
        case D365Settings():
            return D365Adapter(settings, pace)
        case DropSettings():
            return DropAdapter(settings)
