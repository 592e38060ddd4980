-- How objectives are kept, and where they are not.

CREATE OR REPLACE VIEW slo_state AS
SELECT
    level.objective,
    level.erp,
    level.plant,
    objective.percent,
    objective.within_s,
    objective.hop,
    objective.window_days,
    level.postings,
    level.late,
    level.waiting,
    round(1 - level.late / level.postings, 6) AS attained,
    round(1 - level.late / (level.postings * (1 - objective.percent / 100)), 4) AS budget_left,
    level.burn_1h,
    level.burn_6h,
    level.burn_3d,
    level.burning,
    make_timestamp(level.evaluated_us) AS evaluated
FROM slo_level AS level JOIN slo_objective AS objective ON objective.name = level.objective;
COMMENT ON VIEW slo_state IS
    'How each objective is kept, per ERP and plant: what is left of its budget of late postings, and how fast it goes.';
COMMENT ON COLUMN slo_state.postings IS 'Postings of the objective''s days; those that wait too long are among them.';
COMMENT ON COLUMN slo_state.late IS 'Of these, those that took too long or have waited too long.';
COMMENT ON COLUMN slo_state.waiting IS 'Of these, those that the ERP has not accepted yet.';
COMMENT ON COLUMN slo_state.attained IS 'Part of the postings that was in time, 0 to 1.';
COMMENT ON COLUMN slo_state.budget_left IS
    'Part of the late postings that the objective allows which is left, at most 1; below 0 it is missed.';
COMMENT ON COLUMN slo_state.burn_1h IS 'Late postings of the last hour, as a multiple of what the objective allows.';
COMMENT ON COLUMN slo_state.burn_6h IS 'The same of six hours.';
COMMENT ON COLUMN slo_state.burn_3d IS 'The same of three days.';
COMMENT ON COLUMN slo_state.burning IS 'Urgency of the breach there is now: page, ticket, or empty.';

CREATE OR REPLACE VIEW slo_breach AS
WITH named AS (
    SELECT
        alert_id,
        count(*) AS postings,
        list(DISTINCT order_id ORDER BY order_id) FILTER (order_id <> '') AS orders,
        list_sort(list_distinct(flatten(list(materials)))) AS materials,
        list_sort(list_distinct(flatten(list(lots)))) AS lots
    FROM slo_breach_posting
    GROUP BY alert_id
),
amount AS (SELECT alert_id, unit, sum(quantity) AS quantity FROM slo_breach_posting GROUP BY ALL),
stake AS (
    SELECT alert_id, list(units(quantity) || ' ' || unit ORDER BY unit) AS quantities
    FROM amount
    WHERE quantity > 0
    GROUP BY alert_id
)
SELECT
    alert.alert_id,
    alert.objective,
    alert.erp,
    alert.plant,
    alert.urgency,
    make_timestamp(alert.begun_us) AS begun,
    make_timestamp(alert.ended_us) AS ended,
    alert.severity,
    alert.line_stop,
    alert.financial,
    if(len(alert.owners) = 0, ['integration-support'], alert.owners) AS owners,
    alert.codes,
    coalesce(named.postings, 0) AS postings,
    coalesce(named.orders, []) AS orders,
    coalesce(named.materials, []) AS materials,
    coalesce(named.lots, []) AS lots,
    coalesce(stake.quantities, []) AS quantities
FROM slo_alert AS alert LEFT JOIN named USING (alert_id) LEFT JOIN stake USING (alert_id);
COMMENT ON VIEW slo_breach IS
    'Each time an objective was, or is, missed fast enough to tell somebody: what it concerned and what it threatens.';
COMMENT ON COLUMN slo_breach.postings IS 'Number of postings that were late, as long as it lasted.';
COMMENT ON COLUMN slo_breach.orders IS 'Their orders.';
COMMENT ON COLUMN slo_breach.materials IS 'Materials made or moved by them.';
COMMENT ON COLUMN slo_breach.lots IS 'Lots made or moved by them.';
COMMENT ON COLUMN slo_breach.quantities IS 'What they report together, per unit.';
