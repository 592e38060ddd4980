-- Dimensions: reference data of the ERPs, and what the settings say of the plants.

CREATE TABLE order_reference (
    changed_us BIGINT NOT NULL,
    valid_from_us BIGINT NOT NULL,
    valid_to_us BIGINT,
    deleted BOOLEAN NOT NULL,
    erp VARCHAR NOT NULL,
    plant VARCHAR NOT NULL,
    order_id VARCHAR NOT NULL,
    status VARCHAR NOT NULL,
    material VARCHAR NOT NULL,
    quantity BIGINT NOT NULL,
    unit VARCHAR NOT NULL,
    over_delivery BIGINT,
    operations STRUCT(operation VARCHAR, work_center VARCHAR, quantity BIGINT, confirmed_by VARCHAR)[] NOT NULL,
    components STRUCT(item VARCHAR, reservation VARCHAR, material VARCHAR, operation VARCHAR, quantity BIGINT, unit VARCHAR, backflush BOOLEAN, storage_location VARCHAR)[] NOT NULL,
    storage_location VARCHAR NOT NULL,
    stream_shard VARCHAR NOT NULL,
    stream_offset BIGINT NOT NULL
);

CREATE TABLE work_center_reference (
    changed_us BIGINT NOT NULL,
    valid_from_us BIGINT NOT NULL,
    valid_to_us BIGINT,
    deleted BOOLEAN NOT NULL,
    plant VARCHAR NOT NULL,
    work_center VARCHAR NOT NULL,
    stream_shard VARCHAR NOT NULL,
    stream_offset BIGINT NOT NULL
);

CREATE TABLE material_reference (
    changed_us BIGINT NOT NULL,
    valid_from_us BIGINT NOT NULL,
    valid_to_us BIGINT,
    deleted BOOLEAN NOT NULL,
    material VARCHAR NOT NULL,
    base_unit VARCHAR NOT NULL,
    units STRUCT(unit VARCHAR, numerator BIGINT, denominator BIGINT)[] NOT NULL,
    lot_managed BOOLEAN NOT NULL,
    inspected BOOLEAN NOT NULL,
    family VARCHAR NOT NULL,
    stream_shard VARCHAR NOT NULL,
    stream_offset BIGINT NOT NULL
);

CREATE TABLE lot_reference (
    changed_us BIGINT NOT NULL,
    valid_from_us BIGINT NOT NULL,
    valid_to_us BIGINT,
    deleted BOOLEAN NOT NULL,
    material VARCHAR NOT NULL,
    lot VARCHAR NOT NULL,
    status VARCHAR NOT NULL,
    stream_shard VARCHAR NOT NULL,
    stream_offset BIGINT NOT NULL
);

CREATE TABLE reason_reference (
    changed_us BIGINT NOT NULL,
    valid_from_us BIGINT NOT NULL,
    valid_to_us BIGINT,
    deleted BOOLEAN NOT NULL,
    plant VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    erp_reason VARCHAR NOT NULL,
    stream_shard VARCHAR NOT NULL,
    stream_offset BIGINT NOT NULL
);

CREATE TABLE step_reference (
    changed_us BIGINT NOT NULL,
    valid_from_us BIGINT NOT NULL,
    valid_to_us BIGINT,
    deleted BOOLEAN NOT NULL,
    plant VARCHAR NOT NULL,
    work_center VARCHAR NOT NULL,
    material VARCHAR NOT NULL,
    operations VARCHAR[] NOT NULL,
    erp_work_center VARCHAR NOT NULL,
    stream_shard VARCHAR NOT NULL,
    stream_offset BIGINT NOT NULL
);

CREATE TABLE bin_reference (
    changed_us BIGINT NOT NULL,
    valid_from_us BIGINT NOT NULL,
    valid_to_us BIGINT,
    deleted BOOLEAN NOT NULL,
    plant VARCHAR NOT NULL,
    bin VARCHAR NOT NULL,
    storage_location VARCHAR NOT NULL,
    stock_type VARCHAR NOT NULL,
    stream_shard VARCHAR NOT NULL,
    stream_offset BIGINT NOT NULL
);

CREATE TABLE route_reference (
    changed_us BIGINT NOT NULL,
    valid_from_us BIGINT NOT NULL,
    valid_to_us BIGINT,
    deleted BOOLEAN NOT NULL,
    plant VARCHAR NOT NULL,
    erp VARCHAR NOT NULL,
    erp_plant VARCHAR NOT NULL,
    stream_shard VARCHAR NOT NULL,
    stream_offset BIGINT NOT NULL
);

CREATE TABLE period_reference (
    changed_us BIGINT NOT NULL,
    valid_from_us BIGINT NOT NULL,
    valid_to_us BIGINT,
    deleted BOOLEAN NOT NULL,
    erp VARCHAR NOT NULL,
    first DATE NOT NULL,
    last DATE NOT NULL,
    open BOOLEAN NOT NULL,
    stream_shard VARCHAR NOT NULL,
    stream_offset BIGINT NOT NULL
);

CREATE TABLE plant (
    plant VARCHAR NOT NULL,
    title VARCHAR NOT NULL,
    time_zone VARCHAR NOT NULL,
    unit VARCHAR NOT NULL
);

CREATE TABLE shift (
    plant VARCHAR NOT NULL,
    shift VARCHAR NOT NULL,
    day VARCHAR NOT NULL,
    starts VARCHAR NOT NULL,
    ends VARCHAR NOT NULL
);

-- Postings by the hops they took.

ALTER TABLE posting ADD COLUMN known_us BIGINT;
ALTER TABLE posting ADD COLUMN enqueued_us BIGINT;

CREATE TABLE latency (
    hour_us BIGINT NOT NULL,
    plant VARCHAR NOT NULL,
    erp VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    hop VARCHAR NOT NULL,
    bin INTEGER NOT NULL,
    postings HUGEINT NOT NULL,
    total_us HUGEINT NOT NULL,
    shortest_us BIGINT NOT NULL,
    longest_us BIGINT NOT NULL
);

CREATE TABLE hop_hour (
    hour_us BIGINT NOT NULL,
    plant VARCHAR NOT NULL,
    erp VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    hop VARCHAR NOT NULL,
    postings BIGINT NOT NULL,
    total_us HUGEINT NOT NULL,
    p50_us BIGINT NOT NULL,
    p95_us BIGINT NOT NULL,
    p99_us BIGINT NOT NULL,
    longest_us BIGINT NOT NULL
);

INSERT INTO latency BY NAME SELECT until_us // 3600000000 * 3600000000 AS hour_us, plant AS plant, erp AS erp, kind AS kind, hop AS hop, CAST(floor(4 * log2(greatest(us, 1))) AS INTEGER) AS bin, sum(sign * CAST(1 AS HUGEINT)) AS postings, sum(sign * CAST(us AS HUGEINT)) AS total_us, min(us) AS shortest_us, max(us) AS longest_us FROM (SELECT *, unnest([{'hop': 'gather', 'until_us': known_us, 'us': greatest(known_us - end_us, 0), 'told': end_us > 0}, {'hop': 'decide', 'until_us': enqueued_us, 'us': greatest(enqueued_us - known_us, 0), 'told': known_us > 0}], recursive := true) FROM (SELECT *, 1 AS sign FROM posting AS stored)) WHERE told AND until_us > 0 GROUP BY ALL;

INSERT INTO latency BY NAME SELECT until_us // 3600000000 * 3600000000 AS hour_us, plant AS plant, erp AS erp, kind AS kind, hop AS hop, CAST(floor(4 * log2(greatest(us, 1))) AS INTEGER) AS bin, sum(sign * CAST(1 AS HUGEINT)) AS postings, sum(sign * CAST(us AS HUGEINT)) AS total_us, min(us) AS shortest_us, max(us) AS longest_us FROM (SELECT *, unnest([{'hop': 'queue', 'until_us': first_sent_us, 'us': greatest(first_sent_us - enqueued_us, 0), 'told': enqueued_us > 0}, {'hop': 'retry', 'until_us': sent_us, 'us': greatest(sent_us - first_sent_us, 0), 'told': first_sent_us > 0}, {'hop': 'erp', 'until_us': coalesce(committed_us, answered_us), 'us': greatest(coalesce(committed_us, answered_us) - sent_us, 0), 'told': sent_us > 0}, {'hop': 'answer', 'until_us': answered_us, 'us': greatest(answered_us - committed_us, 0), 'told': committed_us > 0}, {'hop': 'whole', 'until_us': answered_us, 'us': greatest(answered_us - occurred_us, 0), 'told': occurred_us > 0}], recursive := true) FROM (SELECT *, 1 AS sign FROM receipt AS stored)) WHERE told AND until_us > 0 AND status IN ('accepted', 'rejected') GROUP BY ALL;

INSERT INTO hop_hour BY NAME SELECT hour_us, plant, erp, kind, hop, CAST(sum(postings) AS BIGINT) AS postings, sum(total_us) AS total_us, CAST(round(pow(2, (min(bin) FILTER (upto * 2 >= total * 1) + 0.5) / 4)) AS BIGINT) AS p50_us, CAST(round(pow(2, (min(bin) FILTER (upto * 20 >= total * 19) + 0.5) / 4)) AS BIGINT) AS p95_us, CAST(round(pow(2, (min(bin) FILTER (upto * 100 >= total * 99) + 0.5) / 4)) AS BIGINT) AS p99_us, max(longest_us) AS longest_us FROM (SELECT *, sum(postings) OVER (PARTITION BY hour_us, plant, erp, kind, hop ORDER BY bin) AS upto, sum(postings) OVER (PARTITION BY hour_us, plant, erp, kind, hop) AS total FROM latency) GROUP BY ALL;

-- What is not settled, kept small.

ALTER TABLE unposted ADD COLUMN document_date DATE;

CREATE TABLE open_posting (
    posting_id UUID NOT NULL,
    placed BOOLEAN NOT NULL,
    kind VARCHAR,
    erp VARCHAR,
    plant VARCHAR,
    order_id VARCHAR,
    lane VARCHAR,
    operation VARCHAR,
    work_center VARCHAR,
    material VARCHAR,
    lot VARCHAR,
    unit VARCHAR,
    posting_date DATE,
    good BIGINT,
    scrap BIGINT,
    rework BIGINT,
    end_us BIGINT,
    known_us BIGINT,
    enqueued_us BIGINT,
    status VARCHAR,
    code VARCHAR,
    message VARCHAR,
    attempts BIGINT,
    first_sent_us BIGINT,
    sent_us BIGINT,
    answered_us BIGINT
);

CREATE TABLE waiting (
    cause VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    plant VARCHAR NOT NULL,
    order_id VARCHAR NOT NULL,
    operation VARCHAR NOT NULL,
    work_center VARCHAR NOT NULL,
    material VARCHAR NOT NULL,
    lot VARCHAR NOT NULL,
    unit VARCHAR NOT NULL,
    good BIGINT NOT NULL,
    scrap BIGINT NOT NULL,
    rework BIGINT NOT NULL,
    document_date DATE,
    at_us BIGINT NOT NULL,
    first_cause VARCHAR NOT NULL
);

CREATE TABLE lot_word (
    plant VARCHAR NOT NULL,
    material VARCHAR NOT NULL,
    lot VARCHAR NOT NULL,
    type VARCHAR NOT NULL,
    quality VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    occurred_us BIGINT NOT NULL
);

CREATE TABLE booking (
    erp VARCHAR NOT NULL,
    plant VARCHAR NOT NULL,
    posting_date DATE NOT NULL,
    kind VARCHAR NOT NULL,
    unit VARCHAR NOT NULL,
    postings HUGEINT NOT NULL,
    good HUGEINT NOT NULL,
    scrap HUGEINT NOT NULL,
    rework HUGEINT NOT NULL,
    first_end_us BIGINT NOT NULL,
    last_end_us BIGINT NOT NULL
);

MERGE INTO open_posting AS old USING (SELECT posting_id, true AS placed, kind, erp, plant, order_id, lane, operation, work_center, material, lot, unit, posting_date, CASE WHEN len(movements) > 0 THEN 0 WHEN kind = 'reversal' THEN -good ELSE good END AS good, CASE WHEN len(movements) > 0 THEN 0 WHEN kind = 'reversal' THEN -scrap ELSE scrap END AS scrap, CASE WHEN len(movements) > 0 THEN 0 WHEN kind = 'reversal' THEN -rework ELSE rework END AS rework, end_us, known_us, enqueued_us FROM (SELECT * FROM posting) QUALIFY row_number() OVER (PARTITION BY posting_id) = 1) AS new ON old.posting_id = new.posting_id WHEN MATCHED AND old.status = 'accepted' THEN DELETE WHEN MATCHED THEN UPDATE SET placed = true, kind = new.kind, erp = new.erp, plant = new.plant, order_id = new.order_id, lane = new.lane, operation = new.operation, work_center = new.work_center, material = new.material, lot = new.lot, unit = new.unit, posting_date = new.posting_date, good = new.good, scrap = new.scrap, rework = new.rework, end_us = new.end_us, known_us = new.known_us, enqueued_us = new.enqueued_us WHEN NOT MATCHED THEN INSERT BY NAME;

MERGE INTO open_posting AS old USING (SELECT posting_id, false AS placed, status, code, message, attempts, first_sent_us, sent_us, answered_us FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM receipt) WHERE status IN ('accepted', 'rejected', 'withdrawn')) QUALIFY row_number() OVER (PARTITION BY posting_id ORDER BY stream_offset DESC) = 1)) AS new ON old.posting_id = new.posting_id WHEN MATCHED AND old.placed AND new.status = 'accepted' THEN DELETE WHEN MATCHED THEN UPDATE SET status = new.status, code = new.code, message = new.message, attempts = new.attempts, first_sent_us = new.first_sent_us, sent_us = new.sent_us, answered_us = new.answered_us WHEN NOT MATCHED THEN INSERT BY NAME;

INSERT INTO waiting BY NAME SELECT cause, kind, plant, order_id, operation, work_center, material, lot, unit, good, scrap, rework, document_date, at_us, coalesce(causes[1], cause) AS first_cause FROM (SELECT * FROM unposted) WHERE state = 'waiting';

DELETE FROM waiting USING (SELECT kind, enqueued_us, unnest(causes) AS cause FROM (SELECT * FROM posting)) AS posted WHERE waiting.kind = posted.kind AND waiting.first_cause = posted.cause AND coalesce(posted.enqueued_us >= waiting.at_us, true);

MERGE INTO lot_word AS old USING (SELECT plant, material, lot, type, quality, reason, source, occurred_us FROM (SELECT * FROM event) WHERE type IN ('hold', 'release') AND lot <> '' QUALIFY row_number() OVER (PARTITION BY plant, material, lot ORDER BY (occurred_us, type = 'hold') DESC) = 1) AS new ON old.plant = new.plant AND old.material = new.material AND old.lot = new.lot WHEN MATCHED AND (new.occurred_us, new.type = 'hold') > (old.occurred_us, old.type = 'hold') THEN UPDATE SET type = new.type, quality = new.quality, reason = new.reason, source = new.source, occurred_us = new.occurred_us WHEN NOT MATCHED THEN INSERT BY NAME;

INSERT INTO booking BY NAME SELECT erp AS erp, plant AS plant, posting_date AS posting_date, kind AS kind, unit AS unit, sum(sign * CAST(1 AS HUGEINT)) AS postings, sum(sign * CAST(CASE WHEN len(movements) > 0 THEN 0 WHEN kind = 'reversal' THEN -good ELSE good END AS HUGEINT)) AS good, sum(sign * CAST(CASE WHEN len(movements) > 0 THEN 0 WHEN kind = 'reversal' THEN -scrap ELSE scrap END AS HUGEINT)) AS scrap, sum(sign * CAST(CASE WHEN len(movements) > 0 THEN 0 WHEN kind = 'reversal' THEN -rework ELSE rework END AS HUGEINT)) AS rework, min(end_us) AS first_end_us, max(end_us) AS last_end_us FROM (SELECT *, 1 AS sign FROM posting AS stored) WHERE true GROUP BY ALL;
