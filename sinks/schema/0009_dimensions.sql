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
