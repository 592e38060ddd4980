-- What became of each posting.

CREATE OR REPLACE VIEW posting_outcome AS
WITH heard AS (
    -- A receipt repeats its posting's plant and order: joined by them too, who asks for one order reads only its own.
    SELECT
        plant,
        order_id,
        posting_id,
        max_by(status, stream_offset) AS status,
        coalesce(max_by(document, stream_offset) FILTER (status = 'accepted'), '') AS document,
        max_by(attempts, stream_offset) AS attempts,
        max_by(message, stream_offset) AS message,
        max(answered_us) AS answered_us
    FROM receipt GROUP BY plant, order_id, posting_id
)
SELECT
    posting.erp,
    posting.plant,
    posting.order_id,
    posting.number,
    posting.operation,
    posting.kind,
    posting.posting_id,
    posting.unit,
    units(posting.good) AS good,
    units(posting.scrap) AS scrap,
    units(posting.rework) AS rework,
    coalesce(heard.status, 'pending') AS status,
    coalesce(heard.document, '') AS document,
    coalesce(heard.attempts, 0) AS attempts,
    coalesce(heard.message, '') AS message,
    make_timestamp(posting.end_us) AS occurred,
    make_timestamp(heard.answered_us) AS answered
FROM posting LEFT JOIN heard USING (plant, order_id, posting_id);
COMMENT ON VIEW posting_outcome IS
    'Each posting with its newest receipt and its document, in whole units; pending while there is no receipt.';
