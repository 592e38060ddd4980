-- Confirmation to posting: each confirmation that was read is in postings that cite it, or told as not posted.

INSERT INTO finding BY NAME
SELECT
    'DOUBLE' AS kind, plant, order_id, operation, id AS posting_id, erp, end_us AS at_us,
    'one posting' AS expected, 'another one' AS found,
    format('the posting is in the queues again, number {:d} of its order in {}', number, erp) AS what
FROM part WHERE copy > 1;

-- Postings of an order in an ERP have numbers without holes.
INSERT INTO finding BY NAME
WITH counted AS (
    SELECT *, lag(number, 1, -1) OVER (PARTITION BY erp, plant, order_id ORDER BY number) AS before
    FROM part WHERE copy = 1
)
SELECT
    'HOLE' AS kind, plant, order_id, erp, end_us AS at_us,
    format('posting {:d} of the order', before + 1) AS expected, format('posting {:d}', number) AS found,
    format('{:d} postings of the order in {} are gone before posting {}', number - before - 1, erp, id) AS what
FROM counted WHERE number > before + 1;

INSERT INTO finding BY NAME
SELECT
    'ALTERED' AS kind, plant, order_id, operation, id AS posting_id, erp, end_us AS at_us,
    'the id of plant, cause, kind and operation' AS expected, id AS found,
    'the posting id is not that of what it names' AS what
FROM part WHERE role = 'unnamed' AND copy = 1;

CREATE TEMP TABLE fate AS
WITH posted AS (
    SELECT
        cause,
        count(*) AS parts,
        sum(good) AS good, sum(scrap) AS scrap, sum(rework) AS rework,
        sum(setup_us) AS setup_us, sum(machine_us) AS machine_us, sum(labour_us) AS labour_us,
        min(good + scrap + rework) AS least, max(good + scrap + rework) AS most,
        any_value(unit) AS unit, count(DISTINCT unit) AS units,
        any_value(order_id) AS order_id, count(DISTINCT order_id) AS orders,
        any_value(lot) AS lot, count(DISTINCT lot) AS lots, any_value(material) AS material,
        any_value(causes[2]) AS told_by, count(DISTINCT causes[2]) AS tellers,
        min(id) AS posting_id, min(erp) AS erp
    FROM part WHERE role = 'made' AND copy = 1 GROUP BY cause
)
SELECT
    m, p, u,
    m.stream_offset <= mark.stream_offset AS is_read,
    m.good + m.scrap + m.rework AS total
FROM made AS m
LEFT JOIN posted AS p ON p.cause = m.id
LEFT JOIN (FROM untold WHERE kind = 'confirmation') AS u ON u.cause = m.id
LEFT JOIN mark ON mark.stream_shard = m.stream_shard;

INSERT INTO finding BY NAME
SELECT
    'HOLE' AS kind, m.plant AS plant, m.source AS source, m.session AS session, m.first_seq AS first_seq,
    m.last_seq AS last_seq, m.order_id AS order_id, m.operation AS operation, m.id AS posting_id,
    m.last_occurred_us AS at_us, 'a posting, or why there is none' AS expected, 'neither' AS found,
    format('the confirmation of {:d} events was read, and no posting cites it', m.events) AS what
FROM fate WHERE is_read AND p.cause IS NULL AND u.cause IS NULL;

INSERT INTO finding BY NAME
SELECT
    'DOUBLE' AS kind, m.plant AS plant, m.source AS source, m.session AS session, m.first_seq AS first_seq,
    m.last_seq AS last_seq, m.order_id AS order_id, m.operation AS operation, p.posting_id AS posting_id, p.erp AS erp,
    m.last_occurred_us AS at_us, 'posted, or not posted' AS expected, format('posted, and {}', u.state) AS found,
    'the confirmation is posted, and told as one that is not to be' AS what
FROM fate WHERE p.cause IS NOT NULL AND u.state IN ('ruled-out', 'not-counted', 'discarded', 'superseded');

-- Of the operations that one confirmation is posted to, the last takes scrap, rework and times; all of it has passed
-- those before as good.
INSERT INTO finding BY NAME
SELECT
    'ALTERED' AS kind, m.plant AS plant, m.source AS source, m.session AS session, m.first_seq AS first_seq,
    m.last_seq AS last_seq, m.order_id AS order_id, m.operation AS operation, p.posting_id AS posting_id, p.erp AS erp,
    m.last_occurred_us AS at_us,
    amounts((p.parts - 1) * total + m.good, m.scrap, m.rework)
        || CASE WHEN m.order_id NOT IN ('', p.order_id) OR p.orders > 1 THEN ', order ' || m.order_id ELSE '' END
        || CASE WHEN p.lot <> m.lot OR p.lots > 1 THEN ', lot ' || m.lot ELSE '' END
        || CASE WHEN (p.setup_us, p.machine_us, p.labour_us) <> (m.setup_us, m.machine_us, m.labour_us)
        THEN format(', times {:d}, {:d}, {:d}', m.setup_us, m.machine_us, m.labour_us) ELSE '' END AS expected,
    amounts(p.good, p.scrap, p.rework)
        || CASE WHEN m.order_id NOT IN ('', p.order_id) OR p.orders > 1 THEN ', order ' || p.order_id ELSE '' END
        || CASE WHEN p.lot <> m.lot OR p.lots > 1 THEN ', lot ' || p.lot ELSE '' END
        || CASE WHEN (p.setup_us, p.machine_us, p.labour_us) <> (m.setup_us, m.machine_us, m.labour_us)
        THEN format(', times {:d}, {:d}, {:d}', p.setup_us, p.machine_us, p.labour_us) ELSE '' END AS found,
    CASE WHEN p.parts > 1 THEN format('the {:d} postings do not amount to the confirmation', p.parts)
    ELSE 'the posting does not amount to the confirmation' END AS what
FROM fate
WHERE p.cause IS NOT NULL AND (
    m.order_id NOT IN ('', p.order_id) OR p.orders > 1 OR p.lot <> m.lot OR p.lots > 1 OR p.units > 1 OR p.least <> p.most
    OR p.setup_us <> m.setup_us OR p.machine_us <> m.machine_us OR p.labour_us <> m.labour_us
    OR CASE WHEN p.unit = m.unit
    THEN p.good <> (p.parts - 1) * total + m.good OR p.scrap <> m.scrap OR p.rework <> m.rework
    -- In the order's unit, exactly, at one ratio for all three.
    ELSE p.scrap::HUGEINT * total <> m.scrap::HUGEINT * p.most OR p.rework::HUGEINT * total <> m.rework::HUGEINT * p.most
    END
);

-- A confirmation that names no order is posted to the one that an event has told of at its work centre before it.
INSERT INTO finding BY NAME
WITH told AS (
    SELECT id_of(digest_of(source, session, seq)) AS id, plant, work_center, order_id, occurred_us
    FROM read_event
    WHERE type IN ('start', 'resume', 'pause', 'downtime') AND order_id <> '' AND seq IS NOT NULL
        AND is_plain(source || session) AND plant IN (SELECT m.plant FROM fate WHERE m.order_id = '' AND p.order_id <> '')
)
SELECT
    'UNACCOUNTED' AS kind, m.plant AS plant, m.source AS source, m.session AS session, m.first_seq AS first_seq,
    m.last_seq AS last_seq, p.order_id AS order_id, m.operation AS operation, p.posting_id AS posting_id, p.erp AS erp,
    m.last_occurred_us AS at_us, format('an event of order {} at work centre {}', p.order_id, m.work_center) AS expected,
    'none' AS found, 'the confirmation names no order, and nothing tells that it is of this one' AS what
FROM fate WHERE m.order_id = '' AND p.order_id <> '' AND (
    p.tellers <> 1 OR NOT EXISTS (
        FROM told
        WHERE told.id = p.told_by AND told.plant = m.plant AND told.order_id = p.order_id
            AND told.work_center = m.work_center AND told.occurred_us <= m.first_occurred_us
    )
) AND m.plant NOT IN (
    SELECT plant FROM read_event
    WHERE type IN ('start', 'resume', 'pause', 'downtime') AND (seq IS NULL OR NOT is_plain(source || session))
);

-- A material is converted at one ratio. One that stands alone beside another that has served at least twice is wrong.
INSERT INTO finding BY NAME
WITH converted AS (
    SELECT *, (p.most // greatest(gcd(p.most::HUGEINT, total::HUGEINT), 1))::VARCHAR || '/'
        || (total // greatest(gcd(p.most::HUGEINT, total::HUGEINT), 1))::VARCHAR AS ratio
    FROM fate WHERE p.unit <> m.unit AND total > 0
),
served AS (
    SELECT p.material AS material, m.unit AS own, p.unit AS other, ratio, count(*) AS times
    FROM converted GROUP BY ALL
),
usual AS (
    SELECT material, own, other, max_by(ratio, times) AS ratio FROM served
    GROUP BY ALL HAVING max(times) > 1
)
SELECT
    'ALTERED' AS kind, m.plant AS plant, m.source AS source, m.session AS session, m.first_seq AS first_seq,
    m.last_seq AS last_seq, m.order_id AS order_id, m.operation AS operation, p.posting_id AS posting_id, p.erp AS erp,
    m.last_occurred_us AS at_us, usual.ratio AS expected, c.ratio AS found,
    format('{} in {} are converted to {} at a ratio of their own', p.material, m.unit, p.unit) AS what
FROM converted AS c
JOIN served ON (served.material, served.own, served.other, served.ratio) = (c.p.material, c.m.unit, c.p.unit, c.ratio)
JOIN usual ON (usual.material, usual.own, usual.other) = (c.p.material, c.m.unit, c.p.unit)
WHERE served.times = 1 AND usual.ratio <> c.ratio;

INSERT INTO finding BY NAME
SELECT
    'ALTERED' AS kind, m.plant AS plant, m.source AS source, m.session AS session, m.first_seq AS first_seq,
    m.last_seq AS last_seq, m.order_id AS order_id, m.operation AS operation, m.id AS posting_id,
    m.last_occurred_us AS at_us, amounts(m.good, m.scrap, m.rework) AS expected,
    amounts(u.good, u.scrap, u.rework) AS found, format('what is told as {} is not the confirmation', u.state) AS what
FROM fate WHERE u.good <> m.good OR u.scrap <> m.scrap OR u.rework <> m.rework OR u.unit <> m.unit;

INSERT INTO finding BY NAME
SELECT
    'UNACCOUNTED' AS kind, plant, order_id, operation, id AS posting_id, erp, end_us AS at_us,
    'confirmation ' || cause AS expected, 'none' AS found,
    'the posting cites a confirmation that is not there' AS what
FROM part WHERE role IN ('made', 'end', 'receipt', 'transfer') AND copy = 1 AND cause NOT IN (SELECT id FROM made);

INSERT INTO finding BY NAME
SELECT
    'UNACCOUNTED' AS kind, plant, order_id, operation, cause AS posting_id, at_us,
    'confirmation ' || cause AS expected, 'none' AS found,
    format('a confirmation is told as {} that is not there', state) AS what
FROM untold WHERE kind = 'confirmation' AND try_cast(cause AS UUID) IS NOT NULL AND cause NOT IN (SELECT id FROM made);

-- What is received is what the operation's posting has yielded; what a release moves is what was received.
INSERT INTO finding BY NAME
SELECT
    CASE WHEN before.id IS NULL THEN 'UNACCOUNTED' ELSE 'ALTERED' END AS kind,
    p.plant AS plant, p.order_id AS order_id, p.operation AS operation, p.id AS posting_id, p.erp AS erp,
    p.end_us AS at_us,
    CASE WHEN before.id IS NULL THEN 'a posting that yields it' ELSE format('{:d}', before.good) END AS expected,
    CASE WHEN before.id IS NULL THEN 'none' ELSE format('{:d}', list_sum([x.quantity FOR x IN p.movements])::BIGINT) END
        AS found,
    CASE p.role WHEN 'receipt' THEN 'what is received is not what was confirmed'
    ELSE 'what is moved to unrestricted stock is not what was received' END AS what
FROM (FROM part WHERE role IN ('receipt', 'transfer') AND copy = 1) AS p
LEFT JOIN (FROM part WHERE role IN ('made', 'receipt') AND copy = 1) AS before
    ON before.cause = p.cause AND before.operation = p.operation
    AND before.role = CASE p.role WHEN 'receipt' THEN 'made' ELSE 'receipt' END
WHERE before.id IS NULL OR before.good <> p.good OR before.good <> list_sum([x.quantity FOR x IN p.movements]);

INSERT INTO finding BY NAME
SELECT
    CASE WHEN before.id IS NULL THEN 'UNACCOUNTED' ELSE 'ALTERED' END AS kind,
    r.plant AS plant, r.order_id AS order_id, r.operation AS operation, r.id AS posting_id, r.erp AS erp,
    r.end_us AS at_us,
    CASE WHEN before.id IS NULL THEN 'posting ' || r.reverses
    ELSE amounts(before.good, before.scrap, before.rework) || ' in ' || before.erp END AS expected,
    CASE WHEN before.id IS NULL THEN 'none' ELSE amounts(r.good, r.scrap, r.rework) || ' in ' || r.erp END AS found,
    'what is taken back is not what was posted' AS what
FROM (FROM part WHERE role = 'reversal' AND copy = 1) AS r
LEFT JOIN (FROM part WHERE copy = 1) AS before ON before.id = r.reverses
WHERE before.id IS NULL OR (before.good, before.scrap, before.rework, before.unit, before.erp, before.order_id)
    <> (r.good, r.scrap, r.rework, r.unit, r.erp, r.order_id)
    OR [x.quantity FOR x IN before.movements] <> [x.quantity FOR x IN r.movements];

-- Consumption and moves: an event is in one document, and a line is the sum of its events. What the ERP issues itself
-- is left out, line by line. Events without a number have ids that only their bytes tell.
CREATE TEMP TABLE used AS
WITH told AS (
    SELECT *, digest_of(source, session, seq) AS digest
    FROM read_event
    WHERE plant = coalesce(getvariable('plant'), plant) AND type IN ('consume', 'move') AND seq IS NOT NULL
        AND is_plain(source || session)
)
SELECT
    id_of(digest) AS id,
    plant, source, session, seq, order_id, material, lot, unit, quantity, occurred_us
FROM told;

CREATE TEMP TABLE cited AS
SELECT id, plant, order_id, operation, erp, role, end_us, movements, unnest(causes) AS cause
FROM part WHERE role IN ('issue', 'move') AND copy = 1;

INSERT INTO finding BY NAME
SELECT
    'DOUBLE' AS kind, u.plant AS plant, u.source AS source, u.session AS session, u.seq AS first_seq, u.seq AS last_seq,
    u.order_id AS order_id, max(c.id) AS posting_id, max(c.erp) AS erp, u.occurred_us AS at_us, 'one posting' AS expected,
    format('{:d}', count(*)) AS found, 'what was consumed or moved is posted more than once' AS what
FROM cited AS c JOIN (SELECT DISTINCT ON (id) * FROM used) AS u ON u.id = c.cause
GROUP BY u.plant, u.source, u.session, u.seq, u.order_id, u.occurred_us HAVING count(*) > 1;

INSERT INTO finding BY NAME
SELECT
    'UNACCOUNTED' AS kind, plant, order_id, operation, id AS posting_id, erp, end_us AS at_us,
    'event ' || cause AS expected, 'none' AS found, 'the posting cites an event that is not there' AS what
FROM cited WHERE cause NOT IN (SELECT id FROM used) AND plant NOT IN (
    SELECT plant FROM read_event WHERE type IN ('consume', 'move') AND (seq IS NULL OR NOT is_plain(source || session))
);

INSERT INTO finding BY NAME
WITH whole AS (
    SELECT id FROM cited GROUP BY id HAVING bool_and(cause IN (SELECT id FROM used))
),
gathered AS (
    SELECT c.id AS id, u.material AS material, u.lot AS lot, u.unit AS unit, sum(u.quantity) AS quantity
    FROM cited AS c JOIN (SELECT DISTINCT ON (id) * FROM used) AS u ON u.id = c.cause GROUP BY ALL
),
lines AS (
    SELECT id, line.material AS material, line.lot AS lot, line.unit AS unit, sum(line.quantity) AS quantity
    FROM (SELECT id, unnest(movements) AS line FROM part WHERE role IN ('issue', 'move') AND copy = 1) GROUP BY ALL
)
SELECT
    'ALTERED' AS kind, p.plant AS plant, p.order_id AS order_id, p.operation AS operation, p.id AS posting_id, p.erp AS erp,
    p.end_us AS at_us, format('{:d}', coalesce(gathered.quantity, 0)::BIGINT) AS expected,
    format('{:d}', lines.quantity::BIGINT) AS found,
    format('{} {} in {} are not what was consumed or moved', lines.material, lines.lot, lines.unit) AS what
FROM lines JOIN part AS p ON p.id = lines.id AND p.copy = 1 SEMI JOIN whole ON whole.id = lines.id
LEFT JOIN gathered ON (gathered.id, gathered.material, gathered.lot, gathered.unit)
    = (lines.id, lines.material, lines.lot, lines.unit)
WHERE gathered.quantity IS DISTINCT FROM lines.quantity;
