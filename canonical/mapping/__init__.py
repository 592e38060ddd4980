"""The mapping of a plant: one TOML file that says where its records lie, what they look like and what they mean (M45).

``load`` returns the mapping or raises with every problem of the file at once, each with its line.
A new plant needs a file and no code.
"""

from canonical.mapping.file import load, problems
from canonical.mapping.plant import PlantMapping
from canonical.mapping.problems import MappingError, Problem

__all__ = ["MappingError", "PlantMapping", "Problem", "load", "problems"]
