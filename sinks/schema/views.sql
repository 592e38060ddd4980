-- What analysts start from: whole units as decimals, instants as UTC timestamps.
-- Written anew at every opening of the store, so a view may be changed without a migration.

CREATE OR REPLACE MACRO units(thousandths) AS
    CAST(CAST(thousandths AS DECIMAL(30, 0)) * 0.001 AS DECIMAL(18, 3));

CREATE OR REPLACE VIEW output_by_hour AS
SELECT
    plant,
    work_center,
    unit,
    make_timestamp(hour_us) AS hour,
    units(sum(good)) AS good,
    units(sum(scrap)) AS scrap,
    units(sum(rework)) AS rework,
    CAST(sum(confirmations) AS BIGINT) AS confirmations,
    CAST(sum(events) AS BIGINT) AS events
FROM production
GROUP BY plant, work_center, unit, hour_us;
COMMENT ON VIEW output_by_hour IS
    'Output in whole units per plant, work centre, unit and UTC hour in which the confirmation ended.';

CREATE OR REPLACE VIEW order_progress AS
SELECT
    plant,
    order_id,
    operation,
    unit,
    max(material) AS material,
    units(sum(good)) AS good,
    units(sum(scrap)) AS scrap,
    units(sum(rework)) AS rework,
    CAST(sum(confirmations) AS BIGINT) AS confirmations,
    CAST(sum(events) AS BIGINT) AS events,
    make_timestamp(min(first_occurred_us)) AS first_occurred,
    make_timestamp(max(last_occurred_us)) AS last_occurred,
    sum(finals) > 0 AS complete
FROM production
WHERE order_id <> ''
GROUP BY plant, order_id, operation, unit;
COMMENT ON VIEW order_progress IS
    'What each operation of an order has made so far, in whole units; complete once it was reported complete.';

CREATE OR REPLACE VIEW scrap_by_reason AS
SELECT
    plant,
    reason,
    unit,
    units(sum(scrap)) AS scrap,
    round(sum(scrap) / sum(sum(scrap)) OVER (PARTITION BY plant, unit), 4) AS share,
    CAST(sum(scrappings) AS BIGINT) AS confirmations
FROM production
WHERE scrap > 0
GROUP BY plant, reason, unit;
COMMENT ON VIEW scrap_by_reason IS
    'Scrap in whole units per plant, reason and unit; share is of the plant''s scrap in that unit.';

CREATE OR REPLACE VIEW fault_pareto AS
SELECT
    plant,
    code,
    stage,
    CAST(sum(faults) AS BIGINT) AS faults,
    count(DISTINCT source) AS sources,
    round(sum(faults) / sum(sum(faults)) OVER (PARTITION BY plant), 4) AS share,
    round(
        sum(sum(faults)) OVER (PARTITION BY plant ORDER BY sum(faults) DESC, code, stage)
        / sum(sum(faults)) OVER (PARTITION BY plant),
        4
    ) AS cumulative_share,
    make_timestamp(max(last_failed_us)) AS last_failed
FROM setting_aside
GROUP BY plant, code, stage;
COMMENT ON VIEW fault_pareto IS
    'Records set aside per plant, code and stage, with their share of the plant''s faults, largest first.';

CREATE OR REPLACE VIEW genealogy AS
WITH
used AS (
    SELECT plant, order_id, material, lot, unit, sum(quantity) AS quantity
    FROM usage
    WHERE lot <> '' AND order_id <> ''
    GROUP BY ALL
),
made AS (
    SELECT plant, order_id, material, lot, unit, sum(good) + sum(rework) AS quantity
    FROM production
    WHERE lot <> '' AND order_id <> ''
    GROUP BY ALL
    HAVING sum(good) + sum(rework) > 0
)
SELECT
    used.plant,
    used.order_id,
    used.material AS component,
    used.lot AS component_lot,
    units(used.quantity) AS used,
    used.unit AS used_unit,
    made.material,
    made.lot,
    units(made.quantity) AS made,
    made.unit AS made_unit
FROM used
JOIN made ON used.plant = made.plant AND used.order_id = made.order_id;
COMMENT ON VIEW genealogy IS
    'Which lot of a component went into which lot, by the order that used the one and made the other; whole units.';

CREATE OR REPLACE MACRO trace_back(of_lot) AS TABLE
WITH RECURSIVE
found (plant, order_id, level) USING KEY (plant, order_id) AS (
    SELECT DISTINCT plant, order_id, 1 FROM production WHERE lot = of_lot AND order_id <> ''
    UNION
    SELECT production.plant, production.order_id, min(found.level) + 1
    FROM found
    JOIN usage ON usage.plant = found.plant AND usage.order_id = found.order_id
    JOIN production ON production.material = usage.material AND production.lot = usage.lot
    LEFT JOIN recurring.found AS known ON known.plant = production.plant AND known.order_id = production.order_id
    WHERE usage.lot <> '' AND production.order_id <> '' AND known.level IS NULL
    GROUP BY ALL
),
used AS (
    SELECT level, plant, order_id, material, lot, unit, sum(quantity) AS quantity
    FROM usage JOIN found USING (plant, order_id)
    WHERE lot <> ''
    GROUP BY ALL
),
made AS (
    SELECT plant, order_id, material, lot, unit, sum(good) + sum(rework) AS quantity
    FROM production SEMI JOIN found USING (plant, order_id)
    WHERE lot <> ''
    GROUP BY ALL
    HAVING sum(good) + sum(rework) > 0
)
SELECT
    used.level,
    used.plant,
    used.order_id,
    used.material AS component,
    used.lot AS component_lot,
    units(used.quantity) AS used,
    used.unit AS used_unit,
    made.material,
    made.lot,
    units(made.quantity) AS made,
    made.unit AS made_unit
FROM used JOIN made ON used.plant = made.plant AND used.order_id = made.order_id
WHERE made.lot = of_lot OR (made.material, made.lot) IN (SELECT material, lot FROM used)
ORDER BY ALL;

CREATE OR REPLACE MACRO trace_forward(of_lot) AS TABLE
WITH RECURSIVE
found (plant, order_id, level) USING KEY (plant, order_id) AS (
    SELECT DISTINCT plant, order_id, 1 FROM usage WHERE lot = of_lot AND order_id <> ''
    UNION
    SELECT usage.plant, usage.order_id, min(found.level) + 1
    FROM found
    JOIN production ON production.plant = found.plant AND production.order_id = found.order_id
    JOIN usage ON usage.material = production.material AND usage.lot = production.lot
    LEFT JOIN recurring.found AS known ON known.plant = usage.plant AND known.order_id = usage.order_id
    WHERE production.lot <> '' AND usage.order_id <> '' AND known.level IS NULL
    GROUP BY ALL
),
used AS (
    SELECT level, plant, order_id, material, lot, unit, sum(quantity) AS quantity
    FROM usage JOIN found USING (plant, order_id)
    WHERE lot <> ''
    GROUP BY ALL
),
made AS (
    SELECT plant, order_id, material, lot, unit, sum(good) + sum(rework) AS quantity
    FROM production SEMI JOIN found USING (plant, order_id)
    WHERE lot <> ''
    GROUP BY ALL
    HAVING sum(good) + sum(rework) > 0
)
SELECT
    used.level,
    used.plant,
    used.order_id,
    used.material AS component,
    used.lot AS component_lot,
    units(used.quantity) AS used,
    used.unit AS used_unit,
    made.material,
    made.lot,
    units(made.quantity) AS made,
    made.unit AS made_unit
FROM used JOIN made ON used.plant = made.plant AND used.order_id = made.order_id
WHERE used.lot = of_lot OR (used.material, used.lot) IN (SELECT material, lot FROM made)
ORDER BY ALL;

CREATE OR REPLACE VIEW conservation AS
SELECT
    plant,
    source,
    count(*) AS sessions,
    CAST(sum(read) AS BIGINT) AS read,
    CAST(sum(released) AS BIGINT) AS released,
    CAST(sum(late) AS BIGINT) AS late,
    CAST(sum(duplicates) AS BIGINT) AS duplicates,
    CAST(sum(faults) AS BIGINT) AS faults,
    CAST(sum(held) AS BIGINT) AS held,
    CAST(sum(accounted) AS BIGINT) AS accounted,
    CAST(sum(analytics_only) AS BIGINT) AS analytics_only,
    CAST(sum(operational) AS BIGINT) AS operational,
    CAST(sum(gaps) AS BIGINT) AS gaps,
    CAST(sum(missing) AS BIGINT) AS missing,
    CAST(sum(skipped) AS BIGINT) AS skipped,
    bool_and(
        ledger.read = ledger.released + ledger.late + ledger.duplicates + ledger.faults + ledger.held
        AND ledger.released + ledger.late = ledger.accounted + ledger.analytics_only + ledger.operational
    ) AS balanced
FROM ledger
GROUP BY plant, source;
COMMENT ON VIEW conservation IS
    'What became of every record read, per plant and source; balanced is whether each session adds up.';

CREATE OR REPLACE VIEW posting_outcome AS
WITH heard AS (
    SELECT
        posting_id,
        max_by(status, stream_offset) AS status,
        coalesce(max_by(document, stream_offset) FILTER (status = 'accepted'), '') AS document,
        max_by(attempts, stream_offset) AS attempts,
        max_by(message, stream_offset) AS message,
        max(answered_us) AS answered_us
    FROM receipt GROUP BY posting_id
)
SELECT
    posting.erp,
    posting.plant,
    posting.order_id,
    posting.number,
    posting.operation,
    posting.kind,
    posting.posting_id,
    posting.unit,
    units(posting.good) AS good,
    units(posting.scrap) AS scrap,
    units(posting.rework) AS rework,
    coalesce(heard.status, 'pending') AS status,
    coalesce(heard.document, '') AS document,
    coalesce(heard.attempts, 0) AS attempts,
    coalesce(heard.message, '') AS message,
    make_timestamp(posting.end_us) AS occurred,
    make_timestamp(heard.answered_us) AS answered
FROM posting LEFT JOIN heard USING (posting_id);
COMMENT ON VIEW posting_outcome IS
    'Each posting with its newest receipt and its document, in whole units; pending while there is no receipt.';
