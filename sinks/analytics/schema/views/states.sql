-- What the machines did.

CREATE OR REPLACE MACRO seconds(us) AS CAST(CAST(us AS DECIMAL(30, 0)) * 0.000001 AS DECIMAL(18, 6));
COMMENT ON MACRO seconds IS 'Seconds of microseconds, exactly.';

CREATE OR REPLACE VIEW machine_state AS
SELECT
    plant,
    source,
    work_center,
    state,
    reason,
    order_id,
    operation,
    make_timestamp(begin_us) AS since
FROM state_interval
WHERE end_us IS NULL;
COMMENT ON VIEW machine_state IS 'The state in which each source is, as far as it told, and since when.';
COMMENT ON COLUMN machine_state.since IS 'Start of the state, UTC.';

CREATE OR REPLACE VIEW stops_by_reason AS
SELECT
    plant,
    work_center,
    state,
    reason,
    seconds(sum(duration_us - planned_us)) AS seconds,
    CAST(sum(intervals) AS BIGINT) AS intervals,
    round(sum(duration_us - planned_us) / sum(sum(duration_us - planned_us)) OVER (PARTITION BY plant), 4) AS share
FROM state_time
WHERE state IN ('setup', 'delay', 'down')
GROUP BY plant, work_center, state, reason
HAVING sum(duration_us - planned_us) > 0;
COMMENT ON VIEW stops_by_reason IS
    'Time lost per plant, work centre, state (setup, delay, down) and reason, planned stops apart; share of the plant''s.';
COMMENT ON COLUMN stops_by_reason.share IS 'Part of the plant''s time of these states, 0 to 1.';
