-- Receipt to document of the ERP: each is there once with the very quantities, and none is there without a posting.
--
-- document has the rows that were handed in, one for each line of a document. Quantities are thousandths; rework is
-- NULL where the ERP has it in its scrap.

CREATE TEMP TABLE paper AS
SELECT
    erp, document, any_value(posting_id) AS posting_id, any_value(order_id) AS order_id,
    any_value(operation) AS operation, any_value(belongs_to) AS belongs_to, any_value(reverses) AS reverses,
    sum(good) AS good, sum(scrap) AS scrap, sum(rework) AS rework
FROM document GROUP BY erp, document;

-- What receipts call a document: by all of it, or by one of its parts; some ERPs make several, with a comma between.
CREATE TEMP TABLE called AS
WITH named AS (
    SELECT erp, id, unnest(string_split(document, ',')) AS name
    FROM heard WHERE status = 'accepted' AND document <> ''
)
SELECT DISTINCT erp, id, unnest([name] || string_split(name, '/')) AS name FROM named;

-- A document is of the posting whose receipt names it, and otherwise of the one whose id it carries: what takes another
-- document back may carry that one's id.
CREATE TEMP TABLE linked AS
WITH named AS (
    SELECT erp, name AS document, min(id) AS id FROM called GROUP BY ALL HAVING count(DISTINCT id) = 1
)
SELECT paper.*, coalesce(named.id, part.id) AS id
FROM paper
LEFT JOIN named USING (erp, document)
LEFT JOIN (FROM part WHERE copy = 1) AS part ON part.id = paper.posting_id
WHERE coalesce(named.id, part.id) IS NOT NULL;

CREATE TEMP MACRO bare(text) AS coalesce(ltrim(text, '0'), '');

INSERT INTO finding BY NAME
SELECT
    'UNACCOUNTED' AS kind, getvariable('plant') AS plant, paper.order_id AS order_id, paper.operation AS operation,
    CASE WHEN try_cast(paper.posting_id AS UUID) IS NOT NULL THEN paper.posting_id END AS posting_id,
    paper.erp AS erp, paper.document AS document,
    CASE WHEN coalesce(paper.belongs_to, '') <> '' THEN 'document ' || paper.belongs_to
    WHEN coalesce(paper.posting_id, '') <> '' THEN 'posting ' || paper.posting_id ELSE 'a posting' END AS expected,
    'none' AS found, 'the ERP has a document that no posting accounts for' AS what
FROM paper
WHERE (erp, document) NOT IN (SELECT (erp, document) FROM linked)
    AND (coalesce(belongs_to, '') = '' OR (erp, belongs_to) NOT IN (SELECT (erp, document) FROM paper))
    AND (getvariable('plant') IS NULL OR (erp, bare(order_id)) IN (SELECT (erp, bare(order_id)) FROM part));

INSERT INTO finding BY NAME
SELECT
    'UNACCOUNTED' AS kind, p.plant AS plant, p.order_id AS order_id, p.operation AS operation, p.id AS posting_id,
    p.erp AS erp, l.document AS document, p.end_us AS at_us, 'no document' AS expected, 'document ' || l.document AS found,
    format('the ERP has a document of a posting that was {}', o.last_status) AS what
FROM linked AS l JOIN part AS p ON p.id = l.id AND p.copy = 1
JOIN outcome AS o ON o.id = l.id AND o.accepted = 0 AND o.last_status IN ('withdrawn', 'rejected');

-- What an ERP took and then could not process waits under an exception, which the checks of receipts see to.
INSERT INTO finding BY NAME
SELECT
    'HOLE' AS kind, p.plant AS plant, p.order_id AS order_id, p.operation AS operation, p.id AS posting_id,
    p.erp AS erp, o.document AS document, o.answered_us AS at_us, 'document ' || o.document AS expected, 'none' AS found,
    'the posting was accepted, and the ERP has no such document' AS what
FROM outcome AS o JOIN part AS p ON p.id = o.id AND p.copy = 1
WHERE o.accepted > 0 AND o.document <> '' AND o.last_status <> 'movement-failed' AND o.id NOT IN (SELECT id FROM linked)
    AND p.erp IN (SELECT erp FROM document);

-- Where receipts name none of its documents, the ERP's numbers are not known here, and quantities tell. What was booked
-- and taken back again, since the rest of the posting was refused, is no second document.
INSERT INTO finding BY NAME
WITH further AS (
    SELECT l.* FROM linked AS l ANTI JOIN called ON (called.erp, called.id, called.name) = (l.erp, l.id, l.document)
    WHERE coalesce(l.belongs_to, '') = '' AND l.id IN (
        SELECT own.id FROM linked AS own
        JOIN called ON (called.erp, called.id, called.name) = (own.erp, own.id, own.document)
    )
),
left_over AS (
    SELECT f.id AS id FROM further AS f JOIN document AS d ON (d.erp, d.document) = (f.erp, f.document) GROUP BY f.id
    HAVING (coalesce(sum(d.good), 0), coalesce(sum(d.scrap), 0), coalesce(sum(d.rework), 0), coalesce(sum(d.quantity), 0))
        <> (0, 0, 0, 0) OR count(DISTINCT d.document) = 1
)
SELECT
    'DOUBLE' AS kind, p.plant AS plant, p.order_id AS order_id, p.operation AS operation, p.id AS posting_id,
    p.erp AS erp, f.document AS document, o.answered_us AS at_us, 'document ' || o.document AS expected,
    'document ' || f.document AS found, 'the ERP has another document of the posting' AS what
FROM further AS f SEMI JOIN left_over ON left_over.id = f.id
JOIN part AS p ON p.id = f.id AND p.copy = 1 JOIN outcome AS o ON o.id = f.id AND o.accepted > 0;

CREATE TEMP TABLE booked AS
SELECT
    id, string_agg(document, ', ' ORDER BY document) AS documents,
    abs(sum(good)) AS good, abs(sum(scrap)) AS scrap, abs(sum(rework)) AS rework,
    -- What moves between places may name no order, though it was made of one.
    min(nullif(bare(order_id), '')) AS least_order, max(nullif(bare(order_id), '')) AS most_order,
    min(nullif(bare(operation), '')) AS least_operation, max(nullif(bare(operation), '')) AS most_operation
FROM linked WHERE coalesce(belongs_to, '') = '' GROUP BY id;

INSERT INTO finding BY NAME
SELECT
    'ALTERED' AS kind, p.plant AS plant, p.order_id AS order_id, p.operation AS operation, p.id AS posting_id,
    p.erp AS erp, b.documents AS document, p.end_us AS at_us,
    format('order {}, operation {}, ', p.order_id, p.operation) || amounts(p.good, p.scrap, p.rework) AS expected,
    format('order {}, operation {}, ', coalesce(b.most_order, ''), coalesce(b.most_operation, ''))
        || amounts(coalesce(b.good, 0)::BIGINT, coalesce(b.scrap, 0)::BIGINT, coalesce(b.rework, 0)::BIGINT) AS found,
    'the document of the ERP does not say what was posted' AS what
FROM booked AS b JOIN part AS p ON p.id = b.id AND p.copy = 1
WHERE b.least_order <> bare(p.order_id) OR b.most_order <> bare(p.order_id)
    OR (len(p.movements) = 0 AND (
        coalesce(b.good, 0) <> p.good OR coalesce(b.scrap, 0) + coalesce(b.rework, 0) <> p.scrap + p.rework
        OR coalesce(b.rework, p.rework) <> p.rework
        OR b.least_operation <> bare(p.operation) OR b.most_operation <> bare(p.operation)
    ));

INSERT INTO finding BY NAME
WITH posted AS (
    SELECT id, line.material AS material, line.lot AS lot, sum(line.quantity) AS quantity
    FROM (SELECT id, unnest(movements) AS line FROM part WHERE copy = 1 AND id IN (SELECT id FROM booked)) GROUP BY ALL
),
there AS (
    SELECT l.id AS id, coalesce(d.material, '') AS material, coalesce(d.lot, '') AS lot, abs(sum(d.quantity)) AS quantity
    FROM linked AS l JOIN document AS d USING (erp, document)
    JOIN (FROM part WHERE copy = 1 AND len(movements) > 0) AS p ON p.id = l.id
    WHERE coalesce(l.belongs_to, '') = '' AND d.quantity IS NOT NULL GROUP BY ALL
),
compared AS (
    SELECT
        coalesce(posted.id, there.id) AS id, coalesce(posted.material, there.material) AS material,
        coalesce(posted.lot, there.lot) AS lot, coalesce(posted.quantity, 0) AS expected,
        coalesce(there.quantity, 0) AS found
    FROM posted FULL JOIN there ON (posted.id, posted.material, posted.lot) = (there.id, there.material, there.lot)
)
SELECT
    'ALTERED' AS kind, p.plant AS plant, p.order_id AS order_id, p.operation AS operation, p.id AS posting_id,
    p.erp AS erp, b.documents AS document, p.end_us AS at_us,
    format('{:d}', c.expected::BIGINT) AS expected, format('{:d}', c.found::BIGINT) AS found,
    format('the document of the ERP moves another quantity of {} {}', c.material, c.lot) AS what
FROM compared AS c JOIN part AS p ON p.id = c.id AND p.copy = 1 JOIN booked AS b ON b.id = c.id
WHERE c.expected <> c.found;
