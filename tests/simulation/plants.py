"""Plants whose policies the shipped ones do not have: numbers that wrap, tight limits, sessions that begin anywhere."""

from canonical.mapping import PlantMapping, load
from canonical.plants import shipped
from dataflows.proof import plain

NAMES = (
    "source", "session", "seq", "type", "occurred", "order", "work_center", "lot", "reason",
    "good", "scrap", "good_counter",
)  # fmt: skip
SHIFTS = [{"name": "early", "start": "06:00", "end": "14:00"}, {"name": "late", "start": "14:00", "end": "22:00"}]


def mapping(name, **policies):
    common = {"plant": name, "time_zone": "Europe/Berlin", "format": "json", "input": {"topics": ["t"]}}
    return PlantMapping.model_validate(common | {"fields": {name: name for name in NAMES}} | policies)


OWN = (
    mapping(
        "tight",
        sequencing={"gap_timeout_s": 5, "held_rows_max": 3, "gaps_max": 2, "conflict_horizon_rows": 4},
        aggregation={"split_by": ["order"], "count_max": 4, "idle_s": 3},
    ),
    mapping(
        "wraps",
        sequencing={"modulus": 64, "start": "any", "gap_timeout_s": 2},
        counters={"rollover": 100, "jump_max": 4},
        aggregation={"idle_s": 20, "open_max": 2},
        shifts=SHIFTS,
    ),
    mapping(
        "anywhere",
        sequencing={"start": "any", "gap_timeout_s": 20, "gaps_max": 1},
        aggregation={"split_by": [], "bucket_s": 1800, "idle_s": 60},
    ),
    mapping(
        "open",
        sequencing={"start": 2, "gap_timeout_s": 10},
        counters={"first_reading": "count", "jump_max": 6},
        aggregation={"count_max": 5},
    ),
)
PLANTS = [plain(load(path)) for path in shipped()] + [plain(own) for own in OWN]
"""Every shipped plant and those above, in plain words."""
