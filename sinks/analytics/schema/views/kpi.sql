-- Key figures by the names of ISO 22400-2. Each ratio stands beside what it is of: sum those, and divide once.

CREATE OR REPLACE MACRO ratio(part, whole) AS part / nullif(whole, 0);
COMMENT ON MACRO ratio IS 'A part of a whole; null where the whole is 0.';

CREATE OR REPLACE VIEW times_by_work_unit AS
WITH heard AS (
    SELECT plant, work_center, max(last_occurred_us) AS until_us FROM production GROUP BY plant, work_center
),
lasting AS (
    SELECT
        open.plant,
        open.work_center,
        open.source,
        shift_time.posting_date,
        shift_time.shift,
        open.state,
        greatest(open.begin_us, shift_time.begin_us) AS begin_us,
        least(heard.until_us, shift_time.end_us) AS end_us
    FROM state_interval AS open
    JOIN heard ON heard.plant = open.plant AND heard.work_center = open.work_center
    JOIN shift_time
    ON shift_time.plant = open.plant
        AND shift_time.begin_us < heard.until_us
        AND shift_time.end_us > open.begin_us
    WHERE open.end_us IS NULL AND heard.until_us > open.begin_us
),
times AS (
    SELECT plant, work_center, source, posting_date, shift, state, duration_us - planned_us AS duration_us
    FROM state_time
    UNION ALL
    SELECT plant, work_center, source, posting_date, shift, state, end_us - begin_us FROM lasting
    UNION ALL
    SELECT
        lasting.plant,
        lasting.work_center,
        lasting.source,
        lasting.posting_date,
        lasting.shift,
        lasting.state,
        greatest(lasting.begin_us, stop.begin_us) - least(lasting.end_us, stop.end_us)
    FROM lasting JOIN planned_stop AS stop
    ON stop.plant = lasting.plant
        AND stop.posting_date = lasting.posting_date
        AND stop.shift = lasting.shift
        AND stop.begin_us < lasting.end_us
        AND stop.end_us > lasting.begin_us
    WHERE stop.work_center IN ('', lasting.work_center)
),
summed AS (
    SELECT
        plant,
        work_center,
        source,
        posting_date,
        shift,
        coalesce(sum(duration_us) FILTER (state = 'production'), 0) AS apt_us,
        coalesce(sum(duration_us) FILTER (state = 'setup'), 0) AS asut_us,
        coalesce(sum(duration_us) FILTER (state = 'delay'), 0) AS adet_us,
        coalesce(sum(duration_us) FILTER (state = 'down'), 0) AS adot_us
    FROM times
    GROUP BY plant, work_center, source, posting_date, shift
),
planned AS (
    SELECT plant, posting_date, shift, sum(end_us - begin_us) AS pot_us
    FROM shift_time
    WHERE shift <> ''
    GROUP BY plant, posting_date, shift
),
stood AS (
    SELECT plant, work_center, posting_date, shift, sum(end_us - begin_us) AS stop_us
    FROM planned_stop
    GROUP BY plant, work_center, posting_date, shift
)
SELECT
    summed.plant,
    summed.work_center,
    summed.source,
    summed.posting_date,
    summed.shift,
    seconds(coalesce(planned.pot_us, 0)) AS pot,
    seconds(coalesce(planned.pot_us - coalesce(plants.stop_us, 0) - coalesce(own.stop_us, 0), 0)) AS pbt,
    seconds(apt_us) AS apt,
    seconds(asut_us) AS asut,
    seconds(adet_us) AS adet,
    seconds(adot_us) AS adot
FROM summed LEFT JOIN planned
ON planned.plant = summed.plant AND planned.posting_date = summed.posting_date AND planned.shift = summed.shift
LEFT JOIN stood AS plants
ON plants.plant = summed.plant
    AND plants.posting_date = summed.posting_date
    AND plants.shift = summed.shift
    AND plants.work_center = ''
LEFT JOIN stood AS own
ON own.plant = summed.plant
    AND own.posting_date = summed.posting_date
    AND own.shift = summed.shift
    AND own.work_center = summed.work_center
    AND own.work_center <> '';
COMMENT ON VIEW times_by_work_unit IS
    'Seconds of each source by shift, planned stops apart (ISO 22400-2). What lasts counts until the newest output.';
COMMENT ON COLUMN times_by_work_unit.source IS 'The work unit: the machine, terminal or system whose time it is.';

CREATE OR REPLACE VIEW times_by_shift AS
SELECT
    plant,
    work_center,
    posting_date,
    shift,
    count(DISTINCT source) AS work_units,
    sum(pot) AS pot,
    sum(pbt) AS pbt,
    sum(apt) AS apt,
    sum(asut) AS asut,
    sum(apt + asut) AS aupt,
    sum(adet) AS adet,
    sum(apt + asut + adet) AS aubt,
    sum(adot) AS adot,
    ratio(sum(apt), sum(pbt)) AS availability,
    ratio(sum(apt + asut + adet), sum(pbt)) AS allocation_efficiency,
    ratio(sum(apt), sum(apt + asut + adet)) AS utilization_efficiency,
    ratio(sum(apt), sum(apt + adet)) AS technical_efficiency,
    ratio(sum(asut), sum(apt + asut)) AS setup_rate
FROM times_by_work_unit
GROUP BY plant, work_center, posting_date, shift;
COMMENT ON VIEW times_by_shift IS 'Seconds of each work centre by shift, and what they say of its use (ISO 22400-2).';

CREATE OR REPLACE VIEW times_by_day AS
SELECT
    plant,
    posting_date,
    sum(pot) AS pot,
    sum(pbt) AS pbt,
    sum(apt) AS apt,
    sum(asut) AS asut,
    sum(aupt) AS aupt,
    sum(adet) AS adet,
    sum(aubt) AS aubt,
    sum(adot) AS adot,
    ratio(sum(apt), sum(pbt)) AS availability,
    ratio(sum(aubt), sum(pbt)) AS allocation_efficiency,
    ratio(sum(apt), sum(aubt)) AS utilization_efficiency,
    ratio(sum(apt), sum(apt + adet)) AS technical_efficiency,
    ratio(sum(asut), sum(aupt)) AS setup_rate
FROM times_by_shift
WHERE shift <> ''
GROUP BY plant, posting_date;
COMMENT ON VIEW times_by_day IS
    'Seconds of each plant within its shifts by day, and what they say of its use (ISO 22400-2).';

CREATE OR REPLACE VIEW quality_by_shift AS
WITH orders AS (
    SELECT plant, order_id, unnest(operations) AS step
    FROM order_reference
    WHERE in_force(valid_from_us, valid_to_us, deleted)
    QUALIFY row_number() OVER (PARTITION BY plant, order_id ORDER BY valid_from_us DESC, erp) = 1
),
planned AS (
    SELECT plant, order_id, step.operation AS operation, max(step.run_us) AS run_us
    FROM orders
    GROUP BY plant, order_id, step.operation
)
SELECT
    made.plant,
    made.work_center,
    made.posting_date,
    made.shift,
    made.unit,
    units(sum(good + scrap + rework)) AS pq,
    units(sum(good)) AS gq,
    units(sum(scrap)) AS sq,
    units(sum(rework)) AS rq,
    seconds(sum(run_us * (good + scrap + rework)) // 1000) AS pru_pq,
    seconds(sum(run_us * good) // 1000) AS pru_gq,
    coalesce(bool_and(run_us IS NOT NULL) FILTER (good + scrap + rework > 0), true) AS all_planned,
    ratio(sum(good), sum(good + scrap + rework)) AS quality_ratio,
    ratio(sum(scrap), sum(good + scrap + rework)) AS scrap_ratio,
    ratio(sum(rework), sum(good + scrap + rework)) AS rework_ratio
FROM production AS made LEFT JOIN planned
ON planned.plant = made.plant AND planned.order_id = made.order_id AND planned.operation = made.operation
GROUP BY made.plant, made.work_center, made.posting_date, made.shift, made.unit;
COMMENT ON VIEW quality_by_shift IS
    'What each work centre made by shift and unit, in whole units, and how good it was (ISO 22400-2).';

CREATE OR REPLACE VIEW quality_by_day AS
SELECT
    plant,
    posting_date,
    unit,
    sum(pq) AS pq,
    sum(gq) AS gq,
    sum(sq) AS sq,
    sum(rq) AS rq,
    sum(pru_pq) AS pru_pq,
    sum(pru_gq) AS pru_gq,
    bool_and(all_planned) AS all_planned,
    ratio(sum(gq), sum(pq)) AS quality_ratio,
    ratio(sum(sq), sum(pq)) AS scrap_ratio,
    ratio(sum(rq), sum(pq)) AS rework_ratio
FROM quality_by_shift
GROUP BY plant, posting_date, unit;
COMMENT ON VIEW quality_by_day IS 'What each plant made by day and unit, in whole units, and how good it was (ISO 22400-2).';

CREATE OR REPLACE VIEW oee_by_shift AS
WITH made AS (
    SELECT
        plant,
        work_center,
        posting_date,
        shift,
        sum(pru_pq) AS pru_pq,
        sum(pru_gq) AS pru_gq,
        bool_and(all_planned) AS all_planned
    FROM quality_by_shift
    GROUP BY plant, work_center, posting_date, shift
),
known AS (
    SELECT
        times.*,
        CASE WHEN coalesce(made.all_planned, true) THEN coalesce(made.pru_pq, 0) END AS pru_pq,
        CASE WHEN coalesce(made.all_planned, true) THEN coalesce(made.pru_gq, 0) END AS pru_gq
    FROM times_by_shift AS times LEFT JOIN made
    ON made.plant = times.plant
        AND made.work_center = times.work_center
        AND made.posting_date = times.posting_date
        AND made.shift = times.shift
)
SELECT
    plant,
    work_center,
    posting_date,
    shift,
    pbt,
    apt,
    aupt,
    pru_pq,
    pru_gq,
    ratio(apt, pbt) AS availability,
    ratio(pru_pq, apt) AS effectiveness,
    ratio(pru_gq, pru_pq) AS quality_ratio,
    ratio(pru_gq, pbt) AS oee,
    ratio(aupt, pbt) * ratio(pru_gq, apt) AS nee
FROM known;
COMMENT ON VIEW oee_by_shift IS
    'OEE and NEE of each work centre by shift (ISO 22400-2); null where an operation has no planned run time.';

CREATE OR REPLACE VIEW oee_by_day AS
SELECT
    plant,
    posting_date,
    sum(pbt) AS pbt,
    sum(apt) AS apt,
    sum(aupt) AS aupt,
    CASE WHEN count(*) = count(pru_pq) THEN sum(pru_pq) END AS pru_pq,
    CASE WHEN count(*) = count(pru_gq) THEN sum(pru_gq) END AS pru_gq,
    ratio(sum(apt), sum(pbt)) AS availability,
    ratio(CASE WHEN count(*) = count(pru_pq) THEN sum(pru_pq) END, sum(apt)) AS effectiveness,
    ratio(CASE WHEN count(*) = count(pru_gq) THEN sum(pru_gq) END, sum(pru_pq)) AS quality_ratio,
    ratio(CASE WHEN count(*) = count(pru_gq) THEN sum(pru_gq) END, sum(pbt)) AS oee,
    ratio(sum(aupt), sum(pbt)) * ratio(CASE WHEN count(*) = count(pru_gq) THEN sum(pru_gq) END, sum(apt)) AS nee
FROM oee_by_shift
WHERE shift <> ''
GROUP BY plant, posting_date;
COMMENT ON VIEW oee_by_day IS
    'OEE and NEE of each plant within its shifts by day (ISO 22400-2); null where a work centre''s are not known.';

CREATE OR REPLACE VIEW cycle_time AS
SELECT
    plant,
    work_center,
    material,
    unit,
    units(sum(good + scrap + rework)) AS pq,
    seconds(sum(machine_us)) AS machine_seconds,
    ratio(seconds(sum(machine_us)), units(sum(good + scrap + rework))) AS seconds_per_unit
FROM production
WHERE material <> ''
GROUP BY plant, work_center, material, unit;
COMMENT ON VIEW cycle_time IS 'Machine time that a unit of each material took at each work centre.';
COMMENT ON COLUMN cycle_time.seconds_per_unit IS 'Machine seconds a unit, good or not.';
