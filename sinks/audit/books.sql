-- What the checks compare: the rows in scope, and one line of totals for each session.
--
-- read_* are all rows there are (sinks.audit.ground); the variables plant, order, since_us and until_us
-- narrow them down, NULL where they do not. The newest entries of sessions that went on while they were
-- being read stand in later_ledger, so that a running total lies between that of the ledger and of later_ledger.

CREATE TEMP VIEW narrowed AS
SELECT plant, source, session FROM read_ledger_range
WHERE plant = coalesce(getvariable('plant'), plant)
    AND order_id = coalesce(getvariable('order'), order_id)
    AND committed_us >= coalesce(getvariable('since_us'), committed_us)
    AND committed_us < coalesce(getvariable('until_us'), committed_us + 1)
UNION
SELECT plant, source, session FROM read_confirmation
WHERE plant = coalesce(getvariable('plant'), plant)
    AND order_id = coalesce(getvariable('order'), order_id)
    AND last_occurred_us >= coalesce(getvariable('since_us'), last_occurred_us)
    AND last_occurred_us < coalesce(getvariable('until_us'), last_occurred_us + 1)
UNION
SELECT plant, source, session FROM read_ledger
WHERE plant = coalesce(getvariable('plant'), plant)
    AND getvariable('order') IS NULL
    AND committed_us >= coalesce(getvariable('since_us'), committed_us)
    AND committed_us < coalesce(getvariable('until_us'), committed_us + 1);

CREATE TEMP TABLE in_scope AS
SELECT * FROM narrowed WHERE getvariable('order') IS NOT NULL
    OR getvariable('since_us') IS NOT NULL OR getvariable('until_us') IS NOT NULL;

CREATE TEMP MACRO is_in_scope(its_plant, its_source, its_session) AS
    its_plant = coalesce(getvariable('plant'), its_plant)
    AND (
        (getvariable('order') IS NULL AND getvariable('since_us') IS NULL AND getvariable('until_us') IS NULL)
        OR (its_plant, its_source, its_session) IN (FROM in_scope)
    );

CREATE TEMP VIEW range_line AS FROM read_ledger_range WHERE is_in_scope(plant, source, session);
CREATE TEMP VIEW posting_line AS FROM range_line WHERE fate IN ('confirmed', 'supplementary');
CREATE TEMP VIEW gap AS FROM read_gap WHERE is_in_scope(plant, source, session);
CREATE TEMP VIEW event AS FROM read_event WHERE is_in_scope(plant, source, session);
CREATE TEMP VIEW fault AS FROM read_fault WHERE is_in_scope(plant, source, session);

-- The hop after the ledger. Those that come later join it by posting_id.
CREATE TEMP VIEW posting AS
SELECT
    CASE kind WHEN 'confirmation' THEN 'confirmed' ELSE kind END AS fate,
    * EXCLUDE (kind),
    kind
FROM read_confirmation WHERE is_in_scope(plant, source, session);

-- What both sides of the double entry say, as one number a line: sums of it find the sessions that differ.
CREATE TEMP MACRO line_hash(
    posting_id, fate, first_seq, last_seq, events, order_id, operation, unit,
    good, scrap, rework, setup_us, machine_us, labour_us, energy_mwh
) AS hash(
    posting_id, fate, first_seq, last_seq, events, order_id, operation, unit,
    good, scrap, rework, setup_us, machine_us, labour_us, energy_mwh
);

CREATE TEMP TABLE range_total AS
SELECT
    plant, source, session,
    count(*) FILTER (fate IN ('confirmed', 'supplementary')) AS ranges,
    sum(line_hash(
        posting_id, fate, first_seq, last_seq, events, order_id, operation, unit,
        good, scrap, rework, setup_us, machine_us, labour_us, energy_mwh
    )) FILTER (fate IN ('confirmed', 'supplementary')) AS checksum,
    sum(events) FILTER (fate IN ('confirmed', 'supplementary')) AS confirmed,
    sum(good) AS good,
    sum(scrap) AS scrap,
    sum(rework) AS rework,
    sum(events) FILTER (fate = 'late') AS late,
    sum(events) FILTER (fate = 'refused') AS refused,
    min(first_seq) FILTER (fate = 'confirmed') AS lowest,
    max(last_seq) FILTER (fate IN ('confirmed', 'refused')) AS highest
FROM range_line GROUP BY ALL;

CREATE TEMP TABLE posting_total AS
SELECT
    plant, source, session,
    count(*) AS postings,
    sum(events) AS events,
    min(first_seq) AS first_seq,
    max(last_seq) AS last_seq,
    sum(line_hash(
        posting_id, fate, first_seq, last_seq, events, order_id, operation, unit,
        good, scrap, rework, setup_us, machine_us, labour_us, energy_mwh
    )) AS checksum
FROM posting GROUP BY ALL;

-- Totals of a session as of the ledger, nothing where it had none yet, and as of what the ledger got later.
CREATE TEMP MACRO totals_of(entries) AS TABLE
SELECT
    plant, source, session,
    count(*) AS shards,
    min(start_seq) AS start_seq, max(next_seq) AS next_seq,
    sum(read) AS read, sum(released) AS released, sum(late) AS late, sum(duplicates) AS duplicates,
    sum(faults) AS faults, sum(held) AS held, sum(accounted) AS accounted,
    sum(analytics_only) AS analytics_only, sum(operational) AS operational,
    sum(gaps) AS gaps, sum(missing) AS missing, sum(open) AS open,
    sum(good) AS good, sum(scrap) AS scrap, sum(rework) AS rework
FROM query_table(entries) WHERE is_in_scope(plant, source, session) GROUP BY ALL;

CREATE TEMP TABLE entry AS
SELECT
    plant, source, session,
    later.plant IS NOT NULL AS went_on,
    greatest(newest.shards, later.shards) AS shards,
    coalesce(newest.start_seq, later.start_seq) AS start_seq,
    coalesce(newest.next_seq, later.start_seq) AS next_seq,
    coalesce(newest.read, 0) AS read,
    coalesce(newest.released, 0) AS released,
    coalesce(newest.late, 0) AS late,
    coalesce(newest.duplicates, 0) AS duplicates,
    coalesce(newest.faults, 0) AS faults,
    coalesce(newest.held, 0) AS held,
    coalesce(newest.accounted, 0) AS accounted,
    coalesce(newest.analytics_only, 0) AS analytics_only,
    coalesce(newest.operational, 0) AS operational,
    coalesce(newest.gaps, 0) AS gaps,
    coalesce(newest.missing, 0) AS missing,
    coalesce(newest.open, 0) AS open,
    coalesce(newest.good, 0) AS good,
    coalesce(newest.scrap, 0) AS scrap,
    coalesce(newest.rework, 0) AS rework,
    coalesce(later.next_seq - later.released, newest.next_seq - newest.released)
        - coalesce(newest.start_seq, later.start_seq) AS unreleased_to,
    coalesce(later.next_seq, newest.next_seq) AS next_seq_to,
    coalesce(later.late, newest.late) AS late_to,
    coalesce(later.faults, newest.faults) AS faults_to,
    coalesce(later.accounted - later.open, newest.accounted - newest.open) AS confirmed_to,
    coalesce(later.operational, newest.operational) AS operational_to,
    coalesce(later.gaps, newest.gaps) AS gaps_to,
    coalesce(later.good, newest.good) AS good_to,
    coalesce(later.scrap, newest.scrap) AS scrap_to,
    coalesce(later.rework, newest.rework) AS rework_to
FROM totals_of('read_ledger') AS newest FULL JOIN totals_of('later_ledger') AS later USING (plant, source, session);

CREATE TEMP TABLE book AS
WITH gap_total AS (
    SELECT plant, source, session, count(*) AS gaps, sum(last_seq - first_seq + 1) AS numbers FROM gap GROUP BY ALL
),
event_total AS (
    SELECT plant, source, session, count(*) AS events FROM event GROUP BY ALL
),
fault_total AS (
    SELECT plant, source, session, count(*) AS faults FROM fault
    WHERE stage IN ('sequence', 'counter') AND code <> 'SESSIONS_EXHAUSTED' GROUP BY ALL
),
late_total AS (
    SELECT plant, source, session, sum(events) AS late_in_gaps
    FROM range_line JOIN (SELECT plant, source, session, start_seq FROM entry) USING (plant, source, session)
    WHERE fate = 'late' AND first_seq >= start_seq GROUP BY ALL
),
keys AS (
    SELECT plant, source, session FROM entry WHERE source <> ''
    UNION SELECT plant, source, session FROM range_total
    UNION SELECT plant, source, session FROM posting_total
    UNION SELECT plant, source, session FROM gap_total
    UNION SELECT plant, source, session FROM event_total
    UNION SELECT plant, source, session FROM fault_total
)
SELECT
    keys.*,
    entry.plant IS NOT NULL AS has_entry,
    entry.* EXCLUDE (plant, source, session),
    coalesce(range_total.ranges, 0) AS ranges,
    coalesce(posting_total.postings, 0) AS postings,
    range_total.checksum IS NOT DISTINCT FROM posting_total.checksum
        AND ranges = postings AS same_lines,
    coalesce(range_total.confirmed, 0) AS found_confirmed,
    coalesce(range_total.good, 0) AS found_good,
    coalesce(range_total.scrap, 0) AS found_scrap,
    coalesce(range_total.rework, 0) AS found_rework,
    coalesce(range_total.late, 0) AS found_late,
    coalesce(range_total.refused, 0) AS found_refused,
    range_total.lowest, range_total.highest,
    least(range_total.lowest, posting_total.first_seq) AS least_seq,
    greatest(range_total.highest, posting_total.last_seq) AS greatest_seq,
    coalesce(gap_total.gaps, 0) AS found_gaps,
    coalesce(gap_total.numbers, 0) AS gap_numbers,
    coalesce(late_total.late_in_gaps, 0) AS late_in_gaps,
    coalesce(event_total.events, 0) AS found_operational,
    coalesce(fault_total.faults, 0) AS found_faults
FROM keys
LEFT JOIN entry USING (plant, source, session)
LEFT JOIN range_total USING (plant, source, session)
LEFT JOIN posting_total USING (plant, source, session)
LEFT JOIN gap_total USING (plant, source, session)
LEFT JOIN event_total USING (plant, source, session)
LEFT JOIN fault_total USING (plant, source, session)
LEFT JOIN late_total USING (plant, source, session);

CREATE TEMP TABLE finding (
    kind VARCHAR NOT NULL,
    plant VARCHAR,
    source VARCHAR,
    session VARCHAR,
    first_seq BIGINT,
    last_seq BIGINT,
    order_id VARCHAR,
    operation VARCHAR,
    posting_id VARCHAR,
    erp VARCHAR,
    document VARCHAR,
    at_us BIGINT,
    expected VARCHAR,
    found VARCHAR,
    what VARCHAR NOT NULL
);
