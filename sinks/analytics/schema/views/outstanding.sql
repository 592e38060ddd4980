-- What is late, what waits and why, and what a period still lacks.

CREATE OR REPLACE VIEW waiting_case AS
WITH
told AS (
    SELECT exception_id, code, owner, plant, order_id, operation, work_center, material, lot, item, posting_id
    FROM business_exception
    -- Those of delivery concern postings, which have left the desk.
    WHERE resolution = 'open' AND NOT starts_with(code, 'ERP_') AND code <> 'MOVEMENT_FAILED'
),
concerned AS (
    SELECT waiting.cause, waiting.kind, told.exception_id, told.code, told.owner
    FROM waiting JOIN told ON told.posting_id = waiting.cause
    UNION ALL
    SELECT waiting.cause, waiting.kind, told.exception_id, told.code, told.owner
    FROM waiting JOIN told ON told.plant = waiting.plant AND told.order_id = waiting.order_id
    WHERE told.order_id <> '' AND told.operation IN ('', waiting.operation)
        AND told.work_center IN ('', waiting.work_center)
        AND told.material IN ('', waiting.material) AND told.lot IN ('', waiting.lot)
    UNION ALL
    SELECT waiting.cause, waiting.kind, told.exception_id, told.code, told.owner
    FROM waiting JOIN told ON told.material = waiting.material
    WHERE told.order_id = '' AND told.material <> '' AND told.plant IN ('', waiting.plant)
        AND told.lot IN ('', waiting.lot) AND told.work_center IN ('', waiting.work_center)
    UNION ALL
    SELECT waiting.cause, waiting.kind, told.exception_id, told.code, told.owner
    FROM waiting JOIN told ON told.plant = waiting.plant
    -- The item of a closed period is its month; other items are no part of a case.
    WHERE told.order_id = '' AND told.material = '' AND told.lot = ''
        AND told.work_center IN ('', waiting.work_center)
        AND told.item IN ('', strftime(waiting.document_date, '%Y-%m'))
),
why AS (
    SELECT
        cause,
        kind,
        min_by(code, exception_id) AS code,
        min_by(owner, exception_id) AS owner,
        min(exception_id) AS exception_id
    FROM concerned GROUP BY cause, kind
)
SELECT
    waiting.plant,
    route.erp,
    waiting.kind,
    waiting.order_id,
    waiting.operation,
    waiting.work_center,
    waiting.material,
    waiting.lot,
    waiting.unit,
    units(waiting.good) AS good,
    units(waiting.scrap) AS scrap,
    units(waiting.rework) AS rework,
    coalesce(waiting.document_date, CAST(make_timestamp(waiting.at_us) AS DATE)) AS document_date,
    make_timestamp(waiting.at_us) AS since,
    waiting.cause,
    coalesce(why.code, '') AS code,
    coalesce(why.owner, '') AS owner,
    why.exception_id
FROM waiting
LEFT JOIN why ON why.cause = waiting.cause AND why.kind = waiting.kind
LEFT JOIN route ON route.plant = waiting.plant;
COMMENT ON VIEW waiting_case IS
    'What waits before it can be posted, with an open exception that concerns it, if there is one; whole units.';
COMMENT ON COLUMN waiting_case.erp IS 'The ERP that the plant posts to now; none where no route is known.';
COMMENT ON COLUMN waiting_case.document_date IS 'Day it is of; where that is not told, the day on which it began to wait.';
COMMENT ON COLUMN waiting_case.since IS 'Since when it waits.';
COMMENT ON COLUMN waiting_case.cause IS 'Id of the confirmation, or the keys of what was gathered.';
COMMENT ON COLUMN waiting_case.code IS 'Code of the exception; empty while nobody needs to look at it.';
COMMENT ON COLUMN waiting_case.owner IS 'Who can settle it.';
COMMENT ON COLUMN waiting_case.exception_id IS 'The exception.';

CREATE OR REPLACE VIEW unsettled_posting AS
SELECT
    erp,
    plant,
    order_id,
    operation,
    kind,
    posting_id,
    lane,
    material,
    lot,
    unit,
    units(good) AS good,
    units(scrap) AS scrap,
    units(rework) AS rework,
    posting_date,
    CASE
        WHEN open_posting.status = 'withdrawn' THEN 'withdrawn'
        WHEN told.code = 'ERP_ANSWER_UNKNOWN' THEN 'in-doubt'
        WHEN open_posting.status = 'rejected' THEN 'rejected'
        ELSE 'queued'
    END AS state,
    coalesce(told.code, '') AS code,
    coalesce(told.owner, '') AS owner,
    coalesce(open_posting.message, '') AS message,
    make_timestamp(end_us) AS occurred,
    make_timestamp(enqueued_us) AS enqueued
FROM open_posting
LEFT JOIN (
    SELECT posting_id AS name, max_by(code, opened_us) AS code, max_by(owner, opened_us) AS owner
    FROM business_exception WHERE resolution = 'open' AND posting_id <> '' GROUP BY posting_id
) AS told ON told.name = CAST(open_posting.posting_id AS VARCHAR)
WHERE placed;
COMMENT ON VIEW unsettled_posting IS 'Postings without an accepted document: queued, in doubt, rejected or withdrawn.';
COMMENT ON COLUMN unsettled_posting.lane IS 'Queue it waits in.';
COMMENT ON COLUMN unsettled_posting.good IS 'Yield it confirms; less than nothing where it takes back, nothing where it moves.';
COMMENT ON COLUMN unsettled_posting.scrap IS 'Scrap it confirms, likewise.';
COMMENT ON COLUMN unsettled_posting.rework IS 'Rework it confirms, likewise.';
COMMENT ON COLUMN unsettled_posting.posting_date IS 'Day it is posted to.';
COMMENT ON COLUMN unsettled_posting.state IS
    'queued: for its turn; in-doubt: the ERP may have it; rejected: a person must decide; withdrawn: a person has.';
COMMENT ON COLUMN unsettled_posting.code IS 'Code of its open exception; empty where it has none.';
COMMENT ON COLUMN unsettled_posting.owner IS 'Who can settle it.';
COMMENT ON COLUMN unsettled_posting.enqueued IS 'When it entered the queue.';

CREATE OR REPLACE MACRO late_postings(limit_s, since) AS TABLE
WITH
answered AS (
    SELECT
        receipt.*,
        posting.known_us,
        posting.operation,
        posting.material,
        posting.lot
    FROM receipt
    -- The instant is the same in both, and rows lie by it: so only those of that time are looked through.
    LEFT JOIN posting ON posting.posting_id = receipt.posting_id AND posting.enqueued_us = receipt.enqueued_us
    WHERE receipt.status = 'accepted' AND receipt.answered_us >= epoch_us(since)
        AND receipt.answered_us - receipt.occurred_us > limit_s * 1000000
),
hops AS (
    SELECT
        *,
        list_sort([
            {'us': coalesce(known_us - occurred_us, 0), 'place': 6, 'hop': 'gather'},
            {'us': enqueued_us - coalesce(known_us, occurred_us), 'place': 5, 'hop': 'decide'},
            {'us': first_sent_us - enqueued_us, 'place': 4, 'hop': 'queue'},
            {'us': sent_us - first_sent_us, 'place': 3, 'hop': 'retry'},
            {'us': coalesce(committed_us, answered_us) - sent_us, 'place': 2, 'hop': 'erp'},
            {'us': coalesce(answered_us - committed_us, 0), 'place': 1, 'hop': 'answer'}
        ], 'DESC') AS by_length
    FROM answered
)
SELECT
    'answered' AS state,
    plant, erp, kind, order_id, operation, material, lot,
    make_timestamp(occurred_us) AS occurred,
    (answered_us - occurred_us) / 1000000 AS age_s,
    by_length[1].hop AS hop,
    by_length[1].us / 1000000 AS hop_s,
    '' AS code,
    '' AS owner,
    CAST(posting_id AS VARCHAR) AS name
FROM hops
UNION ALL
SELECT
    state,
    plant, erp, kind, order_id, operation, material, lot,
    occurred,
    (epoch_us(now()) - epoch_us(occurred)) / 1000000,
    CASE WHEN state = 'queued' THEN 'queue' ELSE 'erp' END,
    (epoch_us(now()) - epoch_us(coalesce(enqueued, occurred))) / 1000000,
    code,
    owner,
    CAST(posting_id AS VARCHAR)
FROM unsettled_posting
WHERE state <> 'withdrawn' AND epoch_us(now()) - epoch_us(occurred) > limit_s * 1000000
UNION ALL
SELECT
    'waiting',
    plant, erp, kind, order_id, operation, material, lot,
    since,
    (epoch_us(now()) - epoch_us(since)) / 1000000,
    'decide',
    (epoch_us(now()) - epoch_us(since)) / 1000000,
    code,
    owner,
    cause
FROM waiting_case
WHERE epoch_us(now()) - epoch_us(since) > limit_s * 1000000;
COMMENT ON MACRO TABLE late_postings IS
    'What was answered later than so many seconds after its last event, since that timestamp, and what is that late now.';

CREATE OR REPLACE VIEW late_posting AS
FROM late_postings(900, CAST(now() AS TIMESTAMP) - INTERVAL 1 DAY);
COMMENT ON VIEW late_posting IS
    'What waits for longer than 15 minutes, or was answered so late in the last 24 hours, and the hop that took longest.';
COMMENT ON COLUMN late_posting.state IS 'waiting, queued, in-doubt, rejected, or answered.';
COMMENT ON COLUMN late_posting.occurred IS 'When its last event happened; of what is waiting, since when it waits.';
COMMENT ON COLUMN late_posting.age_s IS 'Seconds since then, or until it was answered.';
COMMENT ON COLUMN late_posting.hop IS 'Where it is stuck; of what was answered, the hop that took longest, as in hop_latency.';
COMMENT ON COLUMN late_posting.hop_s IS 'Seconds in that hop.';
COMMENT ON COLUMN late_posting.code IS 'Code of the open exception; empty where there is none.';
COMMENT ON COLUMN late_posting.owner IS 'Who can settle it.';
COMMENT ON COLUMN late_posting.name IS 'The posting; of what is waiting, its cause.';

CREATE OR REPLACE VIEW unmatched_movement AS
SELECT plant, erp, kind, order_id, operation, material, lot, unit, document_date, since, code, owner, cause
FROM waiting_case
WHERE kind IN ('goods-issue', 'stock-transfer');
COMMENT ON VIEW unmatched_movement IS
    'Consumption and moves that have found no order, lot or place in the ERP, so that no document is made of them.';
COMMENT ON COLUMN unmatched_movement.erp IS 'The ERP that the plant posts to now; none where no route is known.';
COMMENT ON COLUMN unmatched_movement.material IS 'Material used or moved; empty where it is of several.';
COMMENT ON COLUMN unmatched_movement.document_date IS 'Day it is of.';
COMMENT ON COLUMN unmatched_movement.since IS 'Since when it waits.';
COMMENT ON COLUMN unmatched_movement.code IS 'Why, as the code of an open exception; empty while nobody needs to look at it.';
COMMENT ON COLUMN unmatched_movement.owner IS 'Who can settle it.';
COMMENT ON COLUMN unmatched_movement.cause IS 'The keys of what was gathered.';

CREATE OR REPLACE VIEW period_close AS
WITH
part AS (
    SELECT
        erp, plant, unit, posting_date AS day,
        postings AS posted, 0 AS queued, 0 AS in_doubt, 0 AS quarantined, 0 AS waiting, 0 AS withdrawn,
        good AS good, scrap AS scrap, rework AS rework, 0 AS open_good, 0 AS open_scrap, 0 AS open_rework
    FROM booking
    UNION ALL
    SELECT
        told.erp, told.plant, told.unit, told.posting_date,
        -1,
        CAST(state = 'queued' AS INTEGER),
        CAST(state = 'in-doubt' AS INTEGER),
        CAST(state = 'rejected' AS INTEGER),
        0,
        CAST(state = 'withdrawn' AS INTEGER),
        -held.good, -held.scrap, -held.rework,
        CASE WHEN state = 'withdrawn' THEN 0 ELSE held.good END,
        CASE WHEN state = 'withdrawn' THEN 0 ELSE held.scrap END,
        CASE WHEN state = 'withdrawn' THEN 0 ELSE held.rework END
    FROM unsettled_posting AS told JOIN open_posting AS held USING (posting_id)
    UNION ALL
    SELECT
        coalesce(told.erp, ''), told.plant, told.unit, told.document_date,
        0, 0, 0, CAST(code <> '' AS INTEGER), CAST(code = '' AS INTEGER), 0,
        0, 0, 0,
        CASE WHEN told.kind = 'confirmation' THEN held.good ELSE 0 END,
        CASE WHEN told.kind = 'confirmation' THEN held.scrap ELSE 0 END,
        CASE WHEN told.kind = 'confirmation' THEN held.rework ELSE 0 END
    FROM waiting_case AS told JOIN waiting AS held USING (cause, kind)
),
dated AS (
    SELECT
        part.*,
        coalesce(period.first, CAST(date_trunc('month', day) AS DATE)) AS first,
        coalesce(period.last, last_day(day)) AS last,
        period.open
    FROM part
    LEFT JOIN period ON period.erp = part.erp AND part.day BETWEEN period.first AND period.last
)
SELECT
    erp,
    plant,
    first,
    last,
    any_value(open) AS open,
    unit,
    CAST(sum(posted) AS BIGINT) AS posted,
    CAST(sum(queued) AS BIGINT) AS queued,
    CAST(sum(in_doubt) AS BIGINT) AS in_doubt,
    CAST(sum(quarantined) AS BIGINT) AS quarantined,
    CAST(sum(waiting) AS BIGINT) AS waiting,
    CAST(sum(withdrawn) AS BIGINT) AS withdrawn,
    units(sum(good)) AS good,
    units(sum(scrap)) AS scrap,
    units(sum(rework)) AS rework,
    units(sum(open_good)) AS open_good,
    units(sum(open_scrap)) AS open_scrap,
    units(sum(open_rework)) AS open_rework,
    sum(queued) + sum(in_doubt) + sum(quarantined) + sum(waiting) = 0 AS ready
FROM dated
GROUP BY erp, plant, first, last, unit;
COMMENT ON VIEW period_close IS
    'What each posting period has and lacks, per ERP, plant and unit: ready where nothing of it is open; whole units.';
COMMENT ON COLUMN period_close.erp IS 'Name of the ERP instance; empty where no route says which.';
COMMENT ON COLUMN period_close.first IS 'First day of the period; of the month, where the ERP told of no period.';
COMMENT ON COLUMN period_close.last IS 'Last day.';
COMMENT ON COLUMN period_close.open IS 'Whether the ERP takes postings for it; none where it told of no period.';
COMMENT ON COLUMN period_close.posted IS 'Postings with an accepted document.';
COMMENT ON COLUMN period_close.queued IS 'Postings that wait for their turn.';
COMMENT ON COLUMN period_close.in_doubt IS 'Postings that the ERP may have, and cannot say.';
COMMENT ON COLUMN period_close.quarantined IS 'Postings that the ERP rejected, and cases with an open exception.';
COMMENT ON COLUMN period_close.waiting IS 'Cases that wait, and need nobody yet.';
COMMENT ON COLUMN period_close.withdrawn IS 'Postings that a person took back before they were sent.';
COMMENT ON COLUMN period_close.good IS 'Yield confirmed by what is posted, less what was taken back.';
COMMENT ON COLUMN period_close.scrap IS 'Scrap confirmed by what is posted, less what was taken back.';
COMMENT ON COLUMN period_close.rework IS 'Rework confirmed by what is posted, less what was taken back.';
COMMENT ON COLUMN period_close.open_good IS 'Yield that is still to be posted.';
COMMENT ON COLUMN period_close.open_scrap IS 'Scrap that is still to be posted.';
COMMENT ON COLUMN period_close.open_rework IS 'Rework that is still to be posted.';
COMMENT ON COLUMN period_close.ready IS 'Whether nothing is queued, in doubt, quarantined or waiting.';

CREATE OR REPLACE VIEW exception_age AS
WITH aged AS (
    SELECT
        *,
        coalesce(resolved_us, epoch_us(now())) - opened_us AS age_us
    FROM business_exception
)
SELECT
    plant,
    owner,
    severity,
    code,
    resolution,
    CASE
        WHEN age_us < 3600000000 THEN 'under 1 hour'
        WHEN age_us < 28800000000 THEN 'under 8 hours'
        WHEN age_us < 86400000000 THEN 'under 1 day'
        WHEN age_us < 604800000000 THEN 'under 7 days'
        ELSE '7 days or more'
    END AS band,
    count(*) AS exceptions,
    CAST(sum(waiting) AS BIGINT) AS waiting,
    make_timestamp(min(opened_us)) AS first_opened,
    CAST(sum(age_us) AS DOUBLE) / count(*) / 1000000 AS mean_s,
    quantile_disc(age_us, 0.5) / 1000000 AS p50_s,
    max(age_us) / 1000000 AS longest_s
FROM aged
GROUP BY ALL;
COMMENT ON VIEW exception_age IS
    'Exceptions by plant, owner, code and how they ended, in bands of their age; of those that ended, how long they took.';
COMMENT ON COLUMN exception_age.plant IS 'Canonical key of the plant; empty where it concerns none alone.';
COMMENT ON COLUMN exception_age.owner IS 'Who can settle it.';
COMMENT ON COLUMN exception_age.severity IS 'What it does to the business: line-stop, financial-distortion or delay.';
COMMENT ON COLUMN exception_age.resolution IS 'open, revalidated, released, reprocessed or discarded.';
COMMENT ON COLUMN exception_age.band IS 'Its age; of one that ended, how long it was open.';
COMMENT ON COLUMN exception_age.exceptions IS 'Number of exceptions.';
COMMENT ON COLUMN exception_age.waiting IS 'Confirmations, events or postings that wait because of them.';
COMMENT ON COLUMN exception_age.first_opened IS 'When the oldest was opened.';
COMMENT ON COLUMN exception_age.mean_s IS 'Mean age in seconds.';
COMMENT ON COLUMN exception_age.p50_s IS 'Median age in seconds.';
COMMENT ON COLUMN exception_age.longest_s IS 'Longest age in seconds.';
