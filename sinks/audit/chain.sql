-- From the confirmation on: what the checks of postings, receipts and documents compare.
--
-- read_* are all rows there are (sinks.audit.ground), narrowed down to a plant here; what concerns other orders or
-- times is taken out at the end. mark says up to which offset the postings flow has read the confirmations, and the
-- delivery flow the queues; held, which postings the delivery flow has not settled. Where nobody could be asked
-- (marks_known), the last confirmation that something cites stands for the mark of its shard.

CREATE TEMP TABLE made AS
SELECT posting_id::VARCHAR AS id, * EXCLUDE (posting_id)
FROM read_confirmation WHERE plant = coalesce(getvariable('plant'), plant)
QUALIFY row_number() OVER (PARTITION BY posting_id ORDER BY stream_shard, stream_offset) = 1;

CREATE TEMP MACRO name_of(its_plant, cause, its_kind, its_operation) AS
    sha1(from_hex(getvariable('namespace')) || encode(json_array(its_plant, cause, its_kind, its_operation)::VARCHAR));
CREATE TEMP MACRO is_named(digits, digest) AS
    digits[1:12] = digest[1:12] AND digits[14:16] = digest[14:16] AND digits[18:32] = digest[18:32];
-- JSON has several ways to write control characters: names that hold one are taken as they are.
CREATE TEMP MACRO is_plain(text) AS NOT regexp_matches(text, '[\x00-\x1f]');

-- The id of an event, as its source, session and number tell it.
CREATE TEMP MACRO digest_of(source, session, seq) AS
    sha1(from_hex(getvariable('namespace')) || encode(json_array(source, session, seq)::VARCHAR));
CREATE TEMP MACRO id_of(digest) AS
    digest[1:8] || '-' || digest[9:12] || '-5' || digest[14:16] || '-' || '89ab'[1 + (('0x' || digest[17])::INT & 3)]
        || digest[18:20] || '-' || digest[21:32];

-- Each posting with what it is of, as its id says: that is the name of its plant, cause, kind and operation.
CREATE TEMP TABLE part AS
WITH named AS (
    SELECT
        posting_id::VARCHAR AS id, * EXCLUDE (posting_id),
        replace(posting_id::VARCHAR, '-', '') AS digits,
        coalesce(causes[1], '') AS cause,
        row_number() OVER (PARTITION BY posting_id ORDER BY erp, stream_shard, stream_offset) AS copy
    FROM read_posting WHERE plant = coalesce(getvariable('plant'), plant)
)
SELECT * EXCLUDE (digits), CASE
    WHEN NOT is_plain(plant || cause || operation || reverses) THEN CASE kind
        WHEN 'confirmation' THEN 'made' WHEN 'goods-receipt' THEN 'receipt' WHEN 'goods-issue' THEN 'issue'
        WHEN 'stock-transfer' THEN 'move' ELSE 'reversal' END
    WHEN kind = 'confirmation' AND is_named(digits, name_of(plant, cause, kind, operation)) THEN 'made'
    WHEN kind = 'confirmation' AND is_named(digits, name_of(plant, 'final:' || cause, kind, operation)) THEN 'end'
    WHEN kind = 'confirmation' AND cause NOT IN (SELECT id FROM made) AND good + scrap + rework = 0 THEN 'times'
    WHEN kind = 'goods-receipt' AND is_named(digits, name_of(plant, cause, kind, operation)) THEN 'receipt'
    WHEN kind = 'stock-transfer' AND is_named(digits, name_of(plant, cause, kind, operation)) THEN 'transfer'
    WHEN kind = 'stock-transfer' AND is_named(digits, name_of(plant, 'move/' || cause, kind, operation)) THEN 'move'
    WHEN kind = 'goods-issue' AND is_named(digits, name_of(plant, 'consumption/' || cause, kind, operation)) THEN 'issue'
    WHEN kind = 'reversal' AND is_named(digits, name_of(plant, reverses, kind, operation)) THEN 'reversal'
    ELSE 'unnamed' END AS role
FROM named;

CREATE TEMP TABLE untold AS
SELECT * FROM read_unposted WHERE plant = coalesce(getvariable('plant'), plant);

CREATE TEMP TABLE heard AS
SELECT posting_id::VARCHAR AS id, * EXCLUDE (posting_id)
FROM read_receipt WHERE plant = coalesce(getvariable('plant'), plant);

CREATE TEMP TABLE outcome AS
SELECT
    id,
    count(*) FILTER (status = 'accepted') AS accepted,
    count(*) FILTER (status = 'withdrawn') AS withdrawn,
    max_by(status, stream_offset) AS last_status,
    coalesce(max_by(document, stream_offset) FILTER (status = 'accepted'), '') AS document,
    coalesce(max_by(reverses, stream_offset) FILTER (status = 'accepted'), '') AS reversed_document,
    max(answered_us) AS answered_us
FROM heard GROUP BY id;

INSERT INTO mark
SELECT stream_shard, max(stream_offset)
FROM made WHERE NOT getvariable('marks_known')
    AND (id IN (SELECT cause FROM part WHERE kind = 'confirmation') OR id IN (SELECT cause FROM untold))
GROUP BY stream_shard;

CREATE TEMP MACRO amounts(its_good, its_scrap, its_rework) AS
    format('good {:d}, scrap {:d}, rework {:d}', its_good, its_scrap, its_rework);
