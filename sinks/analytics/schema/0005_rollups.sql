-- Sums by the hour beside the tables, and those of the rows there are.

CREATE TABLE production (
    hour_us BIGINT NOT NULL,
    plant VARCHAR NOT NULL,
    work_center VARCHAR NOT NULL,
    order_id VARCHAR NOT NULL,
    operation VARCHAR NOT NULL,
    material VARCHAR NOT NULL,
    lot VARCHAR NOT NULL,
    unit VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    shift VARCHAR NOT NULL,
    posting_date DATE NOT NULL,
    good HUGEINT NOT NULL,
    scrap HUGEINT NOT NULL,
    rework HUGEINT NOT NULL,
    setup_us HUGEINT NOT NULL,
    machine_us HUGEINT NOT NULL,
    labour_us HUGEINT NOT NULL,
    energy_mwh HUGEINT NOT NULL,
    events HUGEINT NOT NULL,
    confirmations HUGEINT NOT NULL,
    scrappings HUGEINT NOT NULL,
    finals HUGEINT NOT NULL,
    first_occurred_us BIGINT NOT NULL,
    last_occurred_us BIGINT NOT NULL
);

CREATE TABLE usage (
    hour_us BIGINT NOT NULL,
    plant VARCHAR NOT NULL,
    work_center VARCHAR NOT NULL,
    order_id VARCHAR NOT NULL,
    operation VARCHAR NOT NULL,
    material VARCHAR NOT NULL,
    lot VARCHAR NOT NULL,
    unit VARCHAR NOT NULL,
    quantity HUGEINT NOT NULL,
    events HUGEINT NOT NULL,
    first_occurred_us BIGINT NOT NULL,
    last_occurred_us BIGINT NOT NULL
);

CREATE TABLE setting_aside (
    hour_us BIGINT NOT NULL,
    plant VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    code VARCHAR NOT NULL,
    stage VARCHAR NOT NULL,
    faults HUGEINT NOT NULL,
    first_failed_us BIGINT NOT NULL,
    last_failed_us BIGINT NOT NULL
);

INSERT INTO production BY NAME SELECT last_occurred_us // 3600000000 * 3600000000 AS hour_us, plant AS plant, work_center AS work_center, order_id AS order_id, operation AS operation, material AS material, lot AS lot, unit AS unit, reason AS reason, shift AS shift, posting_date AS posting_date, sum(sign * CAST(good AS HUGEINT)) AS good, sum(sign * CAST(scrap AS HUGEINT)) AS scrap, sum(sign * CAST(rework AS HUGEINT)) AS rework, sum(sign * CAST(setup_us AS HUGEINT)) AS setup_us, sum(sign * CAST(machine_us AS HUGEINT)) AS machine_us, sum(sign * CAST(labour_us AS HUGEINT)) AS labour_us, sum(sign * CAST(energy_mwh AS HUGEINT)) AS energy_mwh, sum(sign * CAST(events AS HUGEINT)) AS events, sum(sign * CAST(1 AS HUGEINT)) AS confirmations, sum(sign * CAST(CAST(scrap > 0 AS INTEGER) AS HUGEINT)) AS scrappings, sum(sign * CAST(CAST(final AS INTEGER) AS HUGEINT)) AS finals, min(first_occurred_us) AS first_occurred_us, max(last_occurred_us) AS last_occurred_us FROM (SELECT *, 1 AS sign FROM confirmation AS stored ANTI JOIN (SELECT * FROM confirmation WHERE revision > 0) AS newer ON stored.plant = newer.plant AND stored.source = newer.source AND stored.session = newer.session AND stored.first_seq = newer.first_seq AND stored.kind = newer.kind AND stored.revision < newer.revision) WHERE true GROUP BY ALL;

INSERT INTO usage BY NAME SELECT occurred_us // 3600000000 * 3600000000 AS hour_us, plant AS plant, work_center AS work_center, order_id AS order_id, operation AS operation, material AS material, lot AS lot, unit AS unit, sum(sign * CAST(quantity AS HUGEINT)) AS quantity, sum(sign * CAST(1 AS HUGEINT)) AS events, min(occurred_us) AS first_occurred_us, max(occurred_us) AS last_occurred_us FROM (SELECT *, 1 AS sign FROM event AS stored) WHERE type = 'consume' GROUP BY ALL;

INSERT INTO setting_aside BY NAME SELECT failed_us // 3600000000 * 3600000000 AS hour_us, plant AS plant, source AS source, code AS code, stage AS stage, sum(sign * CAST(1 AS HUGEINT)) AS faults, min(failed_us) AS first_failed_us, max(failed_us) AS last_failed_us FROM (SELECT *, 1 AS sign FROM fault AS stored) WHERE true GROUP BY ALL;
