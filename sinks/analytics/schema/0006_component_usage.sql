-- Planned against issued components of orders (M18).

CREATE TABLE component_usage (
    erp VARCHAR NOT NULL,
    plant VARCHAR NOT NULL,
    order_id VARCHAR NOT NULL,
    item VARCHAR NOT NULL,
    reservation VARCHAR NOT NULL,
    operation VARCHAR NOT NULL,
    material VARCHAR NOT NULL,
    unit VARCHAR NOT NULL,
    planned BIGINT NOT NULL,
    actual BIGINT NOT NULL,
    difference BIGINT NOT NULL,
    changed_us BIGINT NOT NULL,
    stream_shard VARCHAR NOT NULL,
    stream_offset BIGINT NOT NULL
);
