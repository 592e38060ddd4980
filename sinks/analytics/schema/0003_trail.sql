-- The audit trail (M35).

CREATE TABLE trail (
    chain VARCHAR NOT NULL,
    number BIGINT NOT NULL,
    at_us BIGINT NOT NULL,
    actor VARCHAR NOT NULL,
    action VARCHAR NOT NULL,
    subject VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    before VARCHAR NOT NULL,
    after VARCHAR NOT NULL,
    detail VARCHAR NOT NULL,
    version VARCHAR NOT NULL,
    previous VARCHAR NOT NULL,
    hash VARCHAR NOT NULL,
    stream_shard VARCHAR NOT NULL,
    stream_offset BIGINT NOT NULL
);
