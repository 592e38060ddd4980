-- What was made.

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
COMMENT ON COLUMN scrap_by_reason.share IS 'Part of the plant''s scrap in this unit, 0 to 1.';
COMMENT ON COLUMN scrap_by_reason.confirmations IS 'Number of confirmations that report scrap.';
