"""The section ``pace`` of the settings: how often shards commit, and how much they read at once."""

from __future__ import annotations

from pydantic import Field

from dataflows.section import Interval, Section


class PaceSection(Section):
    """When shards commit, and how they read."""

    commit_interval_s: Interval = Field(default=0.5, description="Time between two commits of a shard.")
    commit_share_max: float = Field(
        default=0.1, gt=0, le=1, description="Part of the time for commits while there is always more to read."
    )
    commit_interval_max_s: Interval = Field(default=10.0, description="Longest interval that this makes.")
    commit_interval_results_max: int = Field(
        default=20_000, ge=1, description="Results that end such an interval, where the sessions are fewer."
    )
    urgent_interval_s: Interval = Field(default=0.1, description="The same while a hold or a release waits.")
    commit_results_max: int = Field(default=1_000_000, ge=1, description="Results after which a shard commits at once.")
    commit_rows_max: int = Field(default=4_000_000, ge=1, description="The same of records that were read.")
    idle_wait_s: Interval = Field(default=0.05, description="Wait of a shard that has nothing to read.")
    outage_wait_max_s: Interval = Field(default=30.0, description="Longest wait between two tries in an outage.")
    vocabulary_max: int = Field(
        default=100_000, ge=1_000, description="Texts of a shard kept before unused ones go; six a session at least."
    )
    settle_s: float = Field(default=2.0, ge=0, le=86_400, description="A landed file is read when unchanged so long.")
    batch_bytes: int = Field(default=8_388_608, ge=4_096, le=67_108_864, description="Read at once from a file.")
    batch_rows_max: int = Field(default=50_000, ge=1, description="Records of them, where lines are short.")
    files_remembered_max: int = Field(
        default=10_000, ge=1, description="Contents remembered per folder, to know a file dropped again."
    )
