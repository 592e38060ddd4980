-- What analysts start from: whole units as decimals, instants as UTC timestamps.
-- Written anew at every opening of the store, so a view may be changed without a migration.

CREATE OR REPLACE MACRO units(thousandths) AS
    CAST(CAST(thousandths AS DECIMAL(30, 0)) * 0.001 AS DECIMAL(18, 3));

CREATE OR REPLACE VIEW output_by_hour AS
SELECT
    plant,
    work_center,
    unit,
    date_trunc('hour', make_timestamp(last_occurred_us)) AS hour,
    units(sum(good)) AS good,
    units(sum(scrap)) AS scrap,
    units(sum(rework)) AS rework,
    count(*) AS confirmations,
    CAST(sum(events) AS BIGINT) AS events
FROM confirmation
GROUP BY ALL;
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
    count(*) AS confirmations,
    CAST(sum(events) AS BIGINT) AS events,
    make_timestamp(min(first_occurred_us)) AS first_occurred,
    make_timestamp(max(last_occurred_us)) AS last_occurred,
    bool_or(final) AS complete
FROM confirmation
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
    count(*) AS confirmations
FROM confirmation
WHERE scrap > 0
GROUP BY plant, reason, unit;
COMMENT ON VIEW scrap_by_reason IS
    'Scrap in whole units per plant, reason and unit; share is of the plant''s scrap in that unit.';

CREATE OR REPLACE VIEW fault_pareto AS
SELECT
    plant,
    code,
    stage,
    count(*) AS faults,
    count(DISTINCT source) AS sources,
    round(count(*) / sum(count(*)) OVER (PARTITION BY plant), 4) AS share,
    round(
        sum(count(*)) OVER (PARTITION BY plant ORDER BY count(*) DESC, code, stage)
        / sum(count(*)) OVER (PARTITION BY plant),
        4
    ) AS cumulative_share,
    make_timestamp(max(failed_us)) AS last_failed
FROM fault
GROUP BY plant, code, stage;
COMMENT ON VIEW fault_pareto IS
    'Records set aside per plant, code and stage, with their share of the plant''s faults, largest first.';

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
