-- DESIGN laws 2 and 5: ranges are disjoint, gaps are where numbers are missing, each range has its confirmation.

-- Only sessions in which the two sides of the double entry differ are gone through line by line.
CREATE TEMP TABLE suspect AS SELECT plant, source, session FROM book WHERE NOT same_lines;

CREATE TEMP TABLE matched AS
WITH lines AS (
    SELECT *, false AS later FROM read_ledger_range SEMI JOIN suspect USING (plant, source, session)
    UNION ALL BY NAME
    SELECT *, true AS later FROM later_ledger_range SEMI JOIN suspect USING (plant, source, session)
),
l AS (
    SELECT *, row_number() OVER (PARTITION BY posting_id ORDER BY committed_us) AS copy
    FROM lines WHERE fate IN ('confirmed', 'supplementary')
),
p AS (
    SELECT *, row_number() OVER (PARTITION BY posting_id ORDER BY stream_shard, stream_offset) AS copy
    FROM posting SEMI JOIN suspect USING (plant, source, session)
)
SELECT l, p FROM l FULL JOIN p ON l.posting_id = p.posting_id AND l.copy = p.copy;

INSERT INTO finding BY NAME
SELECT
    CASE WHEN l.copy > 1 THEN 'DOUBLE' ELSE 'HOLE' END AS kind,
    l.plant AS plant, l.source AS source, l.session AS session, l.first_seq AS first_seq, l.last_seq AS last_seq,
    l.order_id AS order_id, l.operation AS operation, l.posting_id AS posting_id, l.committed_us AS at_us,
    'a confirmation' AS expected, 'none' AS found,
    CASE WHEN l.copy > 1 THEN 'the ledger has this range more than once'
    ELSE format('{:d} events are in the ledger as confirmed, but their confirmation is not there', l.events) END AS what
FROM matched WHERE p.first_seq IS NULL AND NOT l.later;

INSERT INTO finding BY NAME
SELECT
    CASE WHEN p.copy > 1 THEN 'DOUBLE' WHEN other.first_seq IS NOT NULL THEN 'OVERLAP' ELSE 'UNACCOUNTED' END AS kind,
    p.plant AS plant, p.source AS source, p.session AS session, p.first_seq AS first_seq, p.last_seq AS last_seq,
    p.order_id AS order_id, p.operation AS operation, p.posting_id AS posting_id, p.last_occurred_us AS at_us,
    CASE WHEN p.copy > 1 THEN 'one confirmation' ELSE 'a range in the ledger' END AS expected,
    CASE WHEN p.copy > 1 THEN 'another one' ELSE 'none' END AS found,
    CASE WHEN p.copy > 1 THEN format('{:d} events are confirmed again under the same posting id', p.events)
    WHEN other.first_seq IS NOT NULL THEN format(
        'the confirmation is not in the ledger and confirms what {} confirms from {:d} to {:d}',
        other.posting_id, other.first_seq, other.last_seq)
    ELSE format('{:d} events are confirmed, but the ledger does not know of it', p.events) END AS what
FROM (SELECT p FROM matched WHERE l.first_seq IS NULL)
LEFT JOIN LATERAL (
    SELECT o.first_seq, o.last_seq, o.posting_id FROM posting AS o
    WHERE o.plant = p.plant AND o.source = p.source AND o.session = p.session AND o.posting_id <> p.posting_id
        AND o.first_seq <= p.last_seq AND o.last_seq >= p.first_seq AND o.work_center = p.work_center
    ORDER BY o.first_seq LIMIT 1
) AS other ON true;

INSERT INTO finding BY NAME
WITH compared AS (
    SELECT l, p, list_filter([
        {'name': 'plant', 'expected': l.plant, 'found': p.plant},
        {'name': 'source', 'expected': l.source, 'found': p.source},
        {'name': 'session', 'expected': l.session, 'found': p.session},
        {'name': 'kind', 'expected': l.fate, 'found': p.fate},
        {'name': 'first_seq', 'expected': l.first_seq::VARCHAR, 'found': p.first_seq::VARCHAR},
        {'name': 'last_seq', 'expected': l.last_seq::VARCHAR, 'found': p.last_seq::VARCHAR},
        {'name': 'events', 'expected': l.events::VARCHAR, 'found': p.events::VARCHAR},
        {'name': 'order', 'expected': l.order_id, 'found': p.order_id},
        {'name': 'operation', 'expected': l.operation, 'found': p.operation},
        {'name': 'unit', 'expected': l.unit, 'found': p.unit},
        {'name': 'good', 'expected': l.good::VARCHAR, 'found': p.good::VARCHAR},
        {'name': 'scrap', 'expected': l.scrap::VARCHAR, 'found': p.scrap::VARCHAR},
        {'name': 'rework', 'expected': l.rework::VARCHAR, 'found': p.rework::VARCHAR},
        {'name': 'setup_us', 'expected': l.setup_us::VARCHAR, 'found': p.setup_us::VARCHAR},
        {'name': 'machine_us', 'expected': l.machine_us::VARCHAR, 'found': p.machine_us::VARCHAR},
        {'name': 'labour_us', 'expected': l.labour_us::VARCHAR, 'found': p.labour_us::VARCHAR},
        {'name': 'energy_mwh', 'expected': l.energy_mwh::VARCHAR, 'found': p.energy_mwh::VARCHAR}
    ], lambda d: d.expected <> d.found) AS differences
    FROM matched WHERE l.first_seq IS NOT NULL AND p.first_seq IS NOT NULL
)
SELECT
    'ALTERED' AS kind, l.plant AS plant, l.source AS source, l.session AS session, l.first_seq AS first_seq,
    l.last_seq AS last_seq, l.order_id AS order_id, l.operation AS operation, l.posting_id AS posting_id,
    l.committed_us AS at_us,
    list_aggregate(list_transform(differences, lambda d: d.name || ' ' || d.expected), 'string_agg', ', ') AS expected,
    list_aggregate(list_transform(differences, lambda d: d.name || ' ' || d.found), 'string_agg', ', ') AS found,
    'the confirmation is not as it was entered in the ledger' AS what
FROM compared WHERE len(differences) > 0;

-- Confirmed ranges and gaps exclude each other; supplementary ones and late numbers each among themselves.
CREATE TEMP VIEW laid AS
SELECT
    plant, source, session, fate, first_seq, last_seq, events, order_id, operation, posting_id, committed_us AS at_us,
    CASE fate WHEN 'confirmed' THEN 0 WHEN 'supplementary' THEN 1 WHEN 'late' THEN 2 ELSE 3 END AS lane
FROM range_line
UNION ALL BY NAME
SELECT plant, source, session, 'gap' AS fate, first_seq, last_seq, declared_us AS at_us, 0 AS lane FROM gap;

CREATE TEMP TABLE crossing AS
WITH reached AS (
    SELECT *, max(last_seq) OVER (
        PARTITION BY plant, source, session, lane ORDER BY first_seq, last_seq
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS reach FROM laid
)
FROM reached WHERE first_seq <= reach;

-- Where confirmed ranges of a session cross, each counts for the work centre of its confirmation: those of several may be
-- open side by side. A range without a confirmation stands for itself; that it has none is told above.
CREATE TEMP TABLE beside AS
WITH crossed AS (
    SELECT DISTINCT plant, source, session FROM crossing WHERE lane = 0
),
place AS (
    SELECT posting_id, min(work_center) AS work_center
    FROM posting SEMI JOIN crossed USING (plant, source, session) GROUP BY posting_id
),
told AS (
    SELECT laid.*, coalesce(place.work_center, laid.posting_id::VARCHAR) AS place
    FROM (FROM laid SEMI JOIN crossed USING (plant, source, session) WHERE lane = 0) AS laid
    LEFT JOIN place ON laid.posting_id = place.posting_id
)
SELECT
    *,
    max(last_seq) OVER before AS reach_all,
    CASE WHEN fate = 'gap' THEN max(last_seq) OVER before
    ELSE greatest(
        max(last_seq) FILTER (fate = 'gap') OVER before,
        max(last_seq) OVER (
            PARTITION BY plant, source, session, fate, place ORDER BY first_seq, last_seq
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        )
    ) END AS reach
FROM told
WINDOW before AS (
    PARTITION BY plant, source, session ORDER BY first_seq, last_seq
    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
);

INSERT INTO finding BY NAME
SELECT
    'OVERLAP' AS kind, plant, source, session, first_seq, last_seq, order_id, operation, posting_id, at_us,
    format('to begin above {:d}', reach) AS expected, format('{:d}', first_seq) AS found,
    format('this {} reaches into another one, which ends at {:d}', CASE fate
        WHEN 'gap' THEN 'gap' WHEN 'confirmed' THEN 'confirmed range' WHEN 'supplementary' THEN 'supplementary range'
        WHEN 'late' THEN 'late range' ELSE 'refused number' END, reach) AS what
FROM (
    SELECT * FROM crossing WHERE lane <> 0
    UNION ALL BY NAME
    SELECT * EXCLUDE (place, reach_all) FROM beside WHERE first_seq <= reach
);

-- Ranges side by side share their numbers out: together they have no more events than numbers.
INSERT INTO finding BY NAME
WITH clustered AS (
    SELECT *, count(*) FILTER (reach_all IS NULL OR first_seq > reach_all) OVER (
        PARTITION BY plant, source, session ORDER BY first_seq, last_seq ROWS UNBOUNDED PRECEDING
    ) AS cluster
    FROM beside ANTI JOIN (FROM beside WHERE first_seq <= reach) AS told USING (plant, source, session)
)
SELECT
    'OVERLAP' AS kind, plant, source, session, min(first_seq) AS first_seq, max(last_seq) AS last_seq,
    max(at_us) AS at_us, format('{:d} events at most', max(last_seq) - min(first_seq) + 1) AS expected,
    format('{:d}', sum(events)) AS found, 'the ranges of several work centres have more events than numbers' AS what
FROM clustered WHERE fate = 'confirmed'
GROUP BY plant, source, session, cluster HAVING sum(events) > max(last_seq) - min(first_seq) + 1;

-- What came late had been declared missing, unless it lies below the first number of the session.
INSERT INTO finding BY NAME
SELECT
    'UNDECLARED' AS kind, r.plant AS plant, r.source AS source, r.session AS session, r.first_seq AS first_seq,
    r.last_seq AS last_seq, r.order_id AS order_id, r.operation AS operation, r.posting_id AS posting_id,
    r.committed_us AS at_us, 'a declared gap' AS expected,
    CASE WHEN gap.first_seq IS NULL THEN 'none'
    ELSE format('{:d} to {:d}', gap.first_seq, gap.last_seq) END AS found,
    'these numbers came late, but were not declared missing' AS what
FROM (FROM range_line WHERE fate IN ('late', 'supplementary')) AS r
ASOF LEFT JOIN gap
    ON r.plant = gap.plant AND r.source = gap.source AND r.session = gap.session AND r.first_seq >= gap.first_seq
JOIN entry ON r.plant = entry.plant AND r.source = entry.source AND r.session = entry.session
WHERE r.last_seq >= entry.start_seq AND (gap.last_seq IS NULL OR r.last_seq > gap.last_seq);

-- Late and refused ranges have no holes: each number of them is an event.
INSERT INTO finding BY NAME
SELECT
    'ALTERED' AS kind, plant, source, session, first_seq, last_seq, committed_us AS at_us,
    format('{:d} numbers', events) AS expected, format('{:d} to {:d}', first_seq, last_seq) AS found,
    format('a {} range has as many numbers as events', fate) AS what
FROM range_line WHERE fate IN ('late', 'refused') AND last_seq - first_seq + 1 <> events;

INSERT INTO finding BY NAME
SELECT
    'UNACCOUNTED' AS kind, plant, source, session, lowest AS first_seq, highest AS last_seq,
    format('{:d} to {:d}', start_seq, next_seq_to - 1) AS expected, format('{:d} to {:d}', lowest, highest) AS found,
    'ranges lie outside the numbers that the session has been through' AS what
FROM book WHERE has_entry AND (lowest < start_seq OR highest >= next_seq_to);

INSERT INTO finding BY NAME
SELECT
    'DOUBLE' AS kind, plant, source, session, seq AS first_seq, seq AS last_seq,
    min(occurred_us) AS at_us, 'one event' AS expected,
    format('{:d}', count(*)) AS found, 'an event was passed on more than once' AS what
FROM event WHERE seq IS NOT NULL GROUP BY plant, source, session, seq HAVING count(*) > 1;

-- A posting id is the UUIDv5 of what it names (canonical.identity). Texts with control characters, which JSON
-- has several ways to write, are passed over.
INSERT INTO finding BY NAME
WITH named AS (
    SELECT *, replace(posting_id::VARCHAR, '-', '') AS id, sha1(
        from_hex(getvariable('namespace'))
        || encode(json_array(plant, source, session, first_seq, kind, revision)::VARCHAR)
    ) AS digest
    FROM posting WHERE NOT regexp_matches(plant || source || session, '[\x00-\x1f]')
)
SELECT
    'ALTERED' AS kind, plant, source, session, first_seq, last_seq, order_id, operation, posting_id,
    last_occurred_us AS at_us, 'the id of plant, source, session, first_seq, kind and revision' AS expected,
    posting_id::VARCHAR AS found, 'the posting id is not that of what it names' AS what
FROM named
WHERE (id[1:12] <> digest[1:12] OR id[14:16] <> digest[14:16] OR id[18:32] <> digest[18:32])
    AND posting_id::VARCHAR NOT IN (SELECT posting_id FROM finding WHERE posting_id IS NOT NULL);
