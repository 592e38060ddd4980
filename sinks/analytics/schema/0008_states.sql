-- What machines say of themselves: states and telemetry. What was read before has none.

CREATE TABLE state_mark (
    plant VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    session VARCHAR NOT NULL,
    seq BIGINT NOT NULL,
    occurred_us BIGINT NOT NULL,
    type VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    order_id VARCHAR NOT NULL,
    operation VARCHAR NOT NULL,
    work_center VARCHAR NOT NULL,
    stream_shard VARCHAR NOT NULL,
    stream_offset BIGINT NOT NULL
);

CREATE TABLE shift_time (
    plant VARCHAR NOT NULL,
    shift VARCHAR NOT NULL,
    posting_date DATE NOT NULL,
    begin_us BIGINT NOT NULL,
    end_us BIGINT NOT NULL
);

CREATE TABLE state_interval (
    plant VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    work_center VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    order_id VARCHAR NOT NULL,
    operation VARCHAR NOT NULL,
    shift VARCHAR NOT NULL,
    posting_date DATE NOT NULL,
    begin_us BIGINT NOT NULL,
    end_us BIGINT
);

CREATE TABLE state_time (
    plant VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    work_center VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    order_id VARCHAR NOT NULL,
    operation VARCHAR NOT NULL,
    shift VARCHAR NOT NULL,
    posting_date DATE NOT NULL,
    duration_us HUGEINT NOT NULL,
    intervals HUGEINT NOT NULL
);

CREATE TABLE telemetry_minute (
    plant VARCHAR NOT NULL,
    work_center VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    minute_us BIGINT NOT NULL,
    events BIGINT NOT NULL,
    good BIGINT NOT NULL,
    scrap BIGINT NOT NULL,
    rework BIGINT NOT NULL,
    machine_us BIGINT NOT NULL,
    energy_mwh BIGINT NOT NULL,
    stream_shard VARCHAR NOT NULL,
    stream_offset BIGINT NOT NULL
);
