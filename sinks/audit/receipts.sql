-- Posting to receipt: each posting is accepted once with its document, withdrawn, refused and told so, or pending.

INSERT INTO finding BY NAME
SELECT
    'UNACCOUNTED' AS kind, h.plant AS plant, h.order_id AS order_id, h.id AS posting_id, h.erp AS erp,
    h.document AS document, h.answered_us AS at_us, 'posting ' || h.id AS expected, 'none' AS found,
    format('a receipt says {} of a posting that is not there', h.status) AS what
FROM heard AS h ANTI JOIN part ON part.id = h.id;

INSERT INTO finding BY NAME
SELECT
    'ALTERED' AS kind, p.plant AS plant, p.order_id AS order_id, p.operation AS operation, p.id AS posting_id,
    p.erp AS erp, h.document AS document, h.answered_us AS at_us,
    format('{} of order {} in {}', p.kind, p.order_id, p.erp) AS expected,
    format('{} of order {} in {}', h.kind, h.order_id, h.erp) AS found, 'the receipt is of something else' AS what
FROM heard AS h JOIN part AS p ON p.id = h.id AND p.copy = 1
WHERE (p.kind, p.order_id, p.erp) <> (h.kind, h.order_id, h.erp);

INSERT INTO finding BY NAME
SELECT
    'DOUBLE' AS kind, p.plant AS plant, p.order_id AS order_id, p.operation AS operation, p.id AS posting_id,
    p.erp AS erp, o.document AS document, o.answered_us AS at_us, 'accepted once, or withdrawn' AS expected,
    format('{:d} times accepted, {:d} times withdrawn', o.accepted, o.withdrawn) AS found,
    'the posting is settled more than once' AS what
FROM outcome AS o JOIN part AS p ON p.id = o.id AND p.copy = 1 WHERE o.accepted + o.withdrawn > 1;

INSERT INTO finding BY NAME
WITH shared AS (
    SELECT erp, document FROM heard WHERE status = 'accepted' AND document <> ''
    GROUP BY ALL HAVING count(DISTINCT id) > 1
)
SELECT
    'DOUBLE' AS kind, h.plant AS plant, h.order_id AS order_id, h.id AS posting_id, h.erp AS erp,
    h.document AS document, h.answered_us AS at_us, 'a document of its own' AS expected,
    'that of posting ' || first(h.id) OVER earlier AS found, 'two postings have one document' AS what
FROM heard AS h JOIN shared USING (erp, document)
WHERE h.status = 'accepted'
WINDOW earlier AS (PARTITION BY h.erp, h.document ORDER BY h.stream_offset)
QUALIFY h.id <> first(h.id) OVER earlier;

INSERT INTO finding BY NAME
SELECT
    'HOLE' AS kind, h.plant AS plant, h.order_id AS order_id, h.id AS posting_id, h.erp AS erp, h.answered_us AS at_us,
    'an exception' AS expected, 'none' AS found, format('the posting is {}, and nobody was told', h.status) AS what
FROM heard AS h
WHERE h.status IN ('rejected', 'movement-failed')
    AND (h.erp, h.id) NOT IN (SELECT (erp, posting_id) FROM read_business_exception);

-- Of an order, the next posting is sent when the one before is accepted or withdrawn. What the delivery flow has read
-- and does not hold is settled.
INSERT INTO finding BY NAME
WITH placed AS (
    SELECT
        p.*, coalesce(o.accepted, 0) AS accepted, coalesce(o.withdrawn, 0) AS withdrawn,
        p.stream_offset <= mark.stream_offset AND held.posting_id IS NULL AS is_settled,
        max(CASE WHEN o.accepted > 0 THEN p.number END) OVER (
            PARTITION BY p.erp, p.plant, p.order_id ORDER BY p.number DESC
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS accepted_later
    FROM (FROM part WHERE copy = 1) AS p
    LEFT JOIN outcome AS o ON o.id = p.id
    LEFT JOIN mark ON mark.stream_shard = p.stream_shard
    LEFT JOIN held ON held.erp = p.erp AND held.posting_id = p.id
)
SELECT
    'HOLE' AS kind, plant, order_id, operation, id AS posting_id, erp, end_us AS at_us,
    'a receipt' AS expected, 'none' AS found,
    CASE WHEN is_settled THEN 'the posting was settled, and there is no receipt that says how'
    ELSE format('there is no receipt that settles posting {:d}, and posting {:d} of the order is accepted', number,
        accepted_later) END AS what
FROM placed WHERE accepted + withdrawn = 0 AND (is_settled OR (order_id <> '' AND accepted_later IS NOT NULL));

INSERT INTO finding BY NAME
SELECT
    CASE WHEN coalesce(original.accepted, 0) = 0 THEN 'HOLE' ELSE 'ALTERED' END AS kind,
    p.plant AS plant, p.order_id AS order_id, p.operation AS operation, p.id AS posting_id, p.erp AS erp,
    o.document AS document, o.answered_us AS at_us,
    CASE WHEN coalesce(original.accepted, 0) = 0 THEN 'a receipt of posting ' || p.reverses
    ELSE 'document ' || original.document END AS expected,
    CASE WHEN coalesce(original.accepted, 0) = 0 THEN 'none' ELSE 'document ' || o.reversed_document END AS found,
    'the reversal is not linked to the document that it takes back' AS what
FROM (FROM part WHERE role = 'reversal' AND copy = 1) AS p
JOIN outcome AS o ON o.id = p.id AND o.accepted > 0
LEFT JOIN outcome AS original ON original.id = p.reverses
WHERE coalesce(original.accepted, 0) = 0
    OR (o.reversed_document <> '' AND o.reversed_document <> original.document);
