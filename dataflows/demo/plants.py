"""Where the plants' traffic goes: files that are dropped, and messages of edge nodes."""

from __future__ import annotations

from canonical.mapping import PlantMapping
from dataflows.demo.edge_nodes import EdgeNodes
from dataflows.simulator import FolderWriter
from dataflows.simulator.drop import Drop


class Plants:
    """A ``Writer``: what is collected is said by edge nodes, all else is dropped into the landing folder."""

    def __init__(self, landing: FolderWriter, edges: EdgeNodes | None) -> None:
        self._landing, self._edges = landing, edges

    def write(self, mapping: PlantMapping, drop: Drop) -> None:
        """Hand over the records of a drop."""
        if mapping.input.collected:
            assert self._edges is not None
            self._edges.say(record for _, record in drop.records)
        else:
            self._landing.write(mapping, drop)

    def flush(self) -> None:
        """Make the names of files durable."""
        self._landing.flush()
