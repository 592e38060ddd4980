-- The ledger as double entries: what is open and confirmed of each session, and every range with its fate.

ALTER TABLE ledger ADD COLUMN open BIGINT DEFAULT 0;
ALTER TABLE ledger ADD COLUMN good BIGINT DEFAULT 0;
ALTER TABLE ledger ADD COLUMN scrap BIGINT DEFAULT 0;
ALTER TABLE ledger ADD COLUMN rework BIGINT DEFAULT 0;
ALTER TABLE ledger ADD COLUMN committed_us BIGINT DEFAULT 0;
ALTER TABLE ledger ALTER COLUMN open SET NOT NULL;
ALTER TABLE ledger ALTER COLUMN good SET NOT NULL;
ALTER TABLE ledger ALTER COLUMN scrap SET NOT NULL;
ALTER TABLE ledger ALTER COLUMN rework SET NOT NULL;
ALTER TABLE ledger ALTER COLUMN committed_us SET NOT NULL;

CREATE TABLE ledger_range (
    shard VARCHAR NOT NULL,
    plant VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    session VARCHAR NOT NULL,
    fate VARCHAR NOT NULL,
    first_seq BIGINT NOT NULL,
    last_seq BIGINT NOT NULL,
    events BIGINT NOT NULL,
    posting_id UUID,
    order_id VARCHAR NOT NULL,
    operation VARCHAR NOT NULL,
    unit VARCHAR NOT NULL,
    good BIGINT NOT NULL,
    scrap BIGINT NOT NULL,
    rework BIGINT NOT NULL,
    setup_us BIGINT NOT NULL,
    machine_us BIGINT NOT NULL,
    labour_us BIGINT NOT NULL,
    energy_mwh BIGINT NOT NULL,
    committed_us BIGINT NOT NULL,
    stream_shard VARCHAR NOT NULL,
    stream_offset BIGINT NOT NULL
);
