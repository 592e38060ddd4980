"""ERPs that are simulated: a real HTTP server that speaks their protocols and is wrong in their ways."""

from dataflows.erp_simulator.master_data import MasterData, MasterDataUnusable, load

__all__ = ["MasterData", "MasterDataUnusable", "load"]
