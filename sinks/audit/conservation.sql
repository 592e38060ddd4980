-- DESIGN law 1: the totals of each session against each other and against the lines below them.

INSERT INTO finding BY NAME
SELECT
    'UNACCOUNTED' AS kind, plant, source, session, least_seq AS first_seq, greatest_seq AS last_seq,
    'an entry of the ledger' AS expected, 'none' AS found,
    format('the ledger has no entry for this session, but there are {:d} ranges, {:d} confirmations, {:d} gaps, '
        '{:d} events and {:d} faults of it', ranges, postings, found_gaps, found_operational, found_faults) AS what
FROM book WHERE NOT has_entry;

INSERT INTO finding BY NAME
SELECT
    'DOUBLE' AS kind, plant, source, session, '1 shard' AS expected, format('{:d} shards', shards) AS found,
    'several shards account for this session; all records of a source belong into one' AS what
FROM book WHERE shards > 1;

-- Each total, its bounds (equal unless the session went on meanwhile), and what it should be equal to.
CREATE TEMP MACRO off(value, low, high) AS NOT value BETWEEN low AND high;

INSERT INTO finding BY NAME
WITH compared AS (
    SELECT *, unnest([
        {
            'found': read, 'low': released + late + duplicates + faults + held,
            'high': released + late + duplicates + faults + held,
            'what': 'records read are not released + late + duplicates + faults + held'
        },
        {
            'found': released + late, 'low': accounted + analytics_only + operational,
            'high': accounted + analytics_only + operational,
            'what': 'released + late events are not accounted + analytics only + operational'
        },
        {
            'found': found_refused + gap_numbers, 'low': next_seq - start_seq - released, 'high': unreleased_to,
            'what': 'numbers that were not released are not those refused and those in declared gaps'
        },
        {
            'found': found_confirmed, 'low': accounted - open, 'high': confirmed_to,
            'what': 'events in the ranges confirmed are not those accounted for less those still open'
        },
        {
            'found': found_good, 'low': good, 'high': good_to,
            'what': 'good output (thousandths) in the ranges confirmed is not what the events amounted to'
        },
        {
            'found': found_scrap, 'low': scrap, 'high': scrap_to,
            'what': 'scrap (thousandths) in the ranges confirmed is not what the events amounted to'
        },
        {
            'found': found_rework, 'low': rework, 'high': rework_to,
            'what': 'rework (thousandths) in the ranges confirmed is not what the events amounted to'
        },
        {
            'found': found_late, 'low': late, 'high': late_to,
            'what': 'late ranges do not hold the late events'
        },
        {
            'found': found_gaps, 'low': gaps, 'high': gaps_to,
            'what': 'declared gaps are not as many as the ledger counts'
        },
        {
            'found': gap_numbers - late_in_gaps, 'low': CASE WHEN went_on THEN gap_numbers - late_in_gaps ELSE missing END,
            'high': CASE WHEN went_on THEN gap_numbers - late_in_gaps ELSE missing END,
            'what': 'numbers in declared gaps that have not come since are not those missing'
        },
        {
            'found': found_operational, 'low': operational, 'high': operational_to,
            'what': 'events passed on one by one are not as many as the ledger counts'
        },
        {
            'found': found_faults, 'low': faults, 'high': faults_to,
            'what': 'dead letters are not as many as the faults the ledger counts'
        }
    ], recursive := true) FROM book WHERE has_entry
)
SELECT
    'IMBALANCE' AS kind, plant, source, session, start_seq AS first_seq, next_seq - 1 AS last_seq,
    CASE WHEN low = high THEN format('{:d}', low) ELSE format('{:d} to {:d}', low, high) END AS expected,
    format('{:d}', found) AS found, what
FROM compared WHERE off(found, low, high);

-- Records whose source could not be read, that were refused where they came in, or for whose session there was no room,
-- are counted by plant. What is refused of reference data is no plant's.
INSERT INTO finding BY NAME
WITH unread AS (
    SELECT plant, sum(faults) AS low, sum(faults_to) AS high FROM entry WHERE source = '' GROUP BY plant
),
letters AS (
    SELECT plant, count(*) AS found FROM fault
    WHERE stage = 'decode' OR (stage = 'refuse' AND plant <> '') OR code = 'SESSIONS_EXHAUSTED' GROUP BY plant
)
SELECT
    'IMBALANCE' AS kind, plant, '' AS source, '' AS session,
    CAST(coalesce(low, 0) AS VARCHAR) AS expected, CAST(coalesce(letters.found, 0) AS VARCHAR) AS found,
    'dead letters of records that could not be read are not as many as the ledger counts' AS what
FROM unread FULL JOIN letters USING (plant)
WHERE getvariable('order') IS NULL AND getvariable('since_us') IS NULL AND getvariable('until_us') IS NULL
    AND off(coalesce(letters.found, 0), coalesce(low, 0), coalesce(high, 0));
