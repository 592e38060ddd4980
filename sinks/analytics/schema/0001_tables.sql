-- The tables of the first release.

CREATE TABLE store_mark (
    flow VARCHAR NOT NULL,
    shard VARCHAR NOT NULL,
    position VARCHAR,
    generation BIGINT NOT NULL,
    PRIMARY KEY (flow, shard)
);
COMMENT ON TABLE store_mark IS 'Input position of each shard, stored with the rows read up to it.';

CREATE TABLE store_loaded (
    flow VARCHAR NOT NULL,
    shard VARCHAR NOT NULL,
    table_name VARCHAR NOT NULL,
    stream_offset BIGINT NOT NULL,
    PRIMARY KEY (flow, shard, table_name)
);
COMMENT ON TABLE store_loaded IS 'Largest stream offset of each shard in each table; rows at or below it are skipped.';

CREATE TABLE confirmation (
    posting_id UUID NOT NULL,
    kind VARCHAR NOT NULL,
    revision BIGINT NOT NULL,
    plant VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    session VARCHAR NOT NULL,
    first_seq BIGINT NOT NULL,
    last_seq BIGINT NOT NULL,
    order_id VARCHAR NOT NULL,
    operation VARCHAR NOT NULL,
    work_center VARCHAR NOT NULL,
    material VARCHAR NOT NULL,
    lot VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    unit VARCHAR NOT NULL,
    shift VARCHAR NOT NULL,
    posting_date DATE NOT NULL,
    good BIGINT NOT NULL,
    scrap BIGINT NOT NULL,
    rework BIGINT NOT NULL,
    setup_us BIGINT NOT NULL,
    machine_us BIGINT NOT NULL,
    labour_us BIGINT NOT NULL,
    energy_mwh BIGINT NOT NULL,
    events BIGINT NOT NULL,
    first_occurred_us BIGINT NOT NULL,
    last_occurred_us BIGINT NOT NULL,
    first_offset BIGINT NOT NULL,
    last_offset BIGINT NOT NULL,
    final BOOLEAN NOT NULL,
    close_reason VARCHAR NOT NULL,
    stream_shard VARCHAR NOT NULL,
    stream_offset BIGINT NOT NULL
);

CREATE TABLE event (
    plant VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    session VARCHAR NOT NULL,
    seq BIGINT,
    type VARCHAR NOT NULL,
    occurred_us BIGINT NOT NULL,
    recorded_us BIGINT,
    order_id VARCHAR NOT NULL,
    operation VARCHAR NOT NULL,
    work_center VARCHAR NOT NULL,
    material VARCHAR NOT NULL,
    lot VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    unit VARCHAR NOT NULL,
    good BIGINT NOT NULL,
    scrap BIGINT NOT NULL,
    rework BIGINT NOT NULL,
    setup_us BIGINT NOT NULL,
    machine_us BIGINT NOT NULL,
    labour_us BIGINT NOT NULL,
    good_counter BIGINT,
    scrap_counter BIGINT,
    correlation_id VARCHAR NOT NULL,
    energy_mwh BIGINT NOT NULL,
    quality VARCHAR NOT NULL,
    stream_shard VARCHAR NOT NULL,
    stream_offset BIGINT NOT NULL
);

CREATE TABLE fault (
    code VARCHAR NOT NULL,
    detail VARCHAR NOT NULL,
    plant VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    session VARCHAR NOT NULL,
    seq BIGINT NOT NULL,
    input_offset BIGINT NOT NULL,
    topic VARCHAR NOT NULL,
    partition BIGINT NOT NULL,
    stage VARCHAR NOT NULL,
    failed_us BIGINT NOT NULL,
    first_failed_us BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    correlation_id VARCHAR NOT NULL,
    original BOOLEAN NOT NULL,
    key BLOB,
    value BLOB NOT NULL,
    value_bytes BIGINT NOT NULL,
    stream_shard VARCHAR NOT NULL,
    stream_offset BIGINT NOT NULL
);

CREATE TABLE gap (
    plant VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    session VARCHAR NOT NULL,
    first_seq BIGINT NOT NULL,
    last_seq BIGINT NOT NULL,
    declared_us BIGINT NOT NULL,
    stream_shard VARCHAR NOT NULL,
    stream_offset BIGINT NOT NULL
);

CREATE TABLE ledger (
    shard VARCHAR NOT NULL,
    plant VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    session VARCHAR NOT NULL,
    start_seq BIGINT NOT NULL,
    next_seq BIGINT NOT NULL,
    read BIGINT NOT NULL,
    released BIGINT NOT NULL,
    late BIGINT NOT NULL,
    duplicates BIGINT NOT NULL,
    faults BIGINT NOT NULL,
    held BIGINT NOT NULL,
    accounted BIGINT NOT NULL,
    analytics_only BIGINT NOT NULL,
    operational BIGINT NOT NULL,
    gaps BIGINT NOT NULL,
    missing BIGINT NOT NULL,
    skipped BIGINT NOT NULL,
    stream_shard VARCHAR NOT NULL,
    stream_offset BIGINT NOT NULL
);
