"""When the objectives are judged, and as of which instant: one up to which every answer of an ERP is in the store.

Law: an evaluation is as of an instant before which no answer came that is not stored, so that nobody is said to wait
who has his answer. A shard of receipts has told everything up to an instant when a read found nothing then, or when it
has stored an answer of then. While the flow is further behind than ``BEHIND_US``, nothing is judged: who catches up has
no news for anybody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from threading import Event
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from dataflows.outage import Chance, wait_after
from dataflows.settings import Settings
from dataflows.sources.shard_source import Clock, ShardInput
from dataflows.webhook import Webhook
from sinks.analytics.store import Store
from sinks.slo.alert import evaluate
from sinks.slo.objective import Objective
from sinks.streams import RECEIPTS

BEHIND_US: Final = 300_000_000


class ObjectivesWatch:
    """Knows how far receipts are stored.

    Args:
        objectives: what is judged.
        every_us: at most so often.
        shards: of the stream of receipts, by name; where there are none, nothing is judged.
        news: is told whenever an evaluation changed something.
    """

    def __init__(
        self, objectives: Sequence[Objective], every_us: int, shards: Iterable[str], news: Callable[[], None]
    ) -> None:
        self._objectives, self._every_us, self._news = objectives, every_us, news
        self._told_us = dict.fromkeys(shards, 0)
        self._evaluated_us: int | None = None

    def idle(self, shard: str, now_us: int) -> None:
        """Take notice that a read found nothing, and that all there was before is stored."""
        if shard in self._told_us:
            self._told_us[shard] = max(self._told_us[shard], now_us)

    def stored(self, shard: str, tables: Mapping[str, pa.Table]) -> None:
        """Take notice of rows that are stored."""
        if shard in self._told_us and "receipt" in tables:
            newest_us = pc.max(tables["receipt"]["answered_us"]).as_py() or 0
            self._told_us[shard] = max(self._told_us[shard], newest_us)

    def due(self, now_us: int) -> Callable[[duckdb.DuckDBPyConnection], bool] | None:
        """Return the evaluation to be done in a transaction of the store, if one is due."""
        if not self._told_us or (self._evaluated_us is not None and now_us - self._evaluated_us < self._every_us):
            return None
        as_of_us = min(*self._told_us.values(), now_us)
        if now_us - as_of_us > BEHIND_US:
            return None
        self._evaluated_us = now_us
        return partial(self._evaluate, as_of_us)

    def _evaluate(self, as_of_us: int, db: duckdb.DuckDBPyConnection) -> bool:
        changed = evaluate(db, self._objectives, as_of_us)
        if changed:
            self._news()
        return changed


def objectives_watch(
    settings: Settings,
    shards: Mapping[str, ShardInput],
    store: Store,
    clock: Clock,
    chance: Chance,
    opened: ExitStack,
) -> ObjectivesWatch:
    """Return what judges the objectives over a store, with the webhook that is told, where there is one.

    Args: opened: ends it.
    """
    alerts = settings.alerts
    news: Callable[[], None] = Event().set  # nobody waits for it
    if alerts.webhook is not None:
        token = {} if alerts.token is None else {"Authorization": f"Bearer {alerts.token.get_secret_value()}"}
        webhook = Webhook(
            store,
            alerts.webhook.get_secret_value(),
            token,
            alerts.timeout_s,
            round(alerts.keep_s * 1e6),
            clock,
            lambda failures: wait_after(failures, chance(), alerts.retry_max_s),
        )
        opened.enter_context(webhook.running())
        news = webhook.news
    return ObjectivesWatch(
        [each.objective() for each in settings.slo],
        round(alerts.every_s * 1e6),
        [name for name, shard in shards.items() if shard.stream == RECEIPTS],
        news,
    )
