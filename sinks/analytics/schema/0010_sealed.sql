-- Rows of what only grows move into Parquet files: a table holds what is in no file yet, and a view of the old name
-- over it and the files is written whenever that changes (sinks/analytics/sealing.py). So from here on such a table is changed
-- under the name store_hot_*, and read under its own.

CREATE TABLE store_identity AS SELECT CAST(uuid() AS VARCHAR) AS identity;
COMMENT ON TABLE store_identity IS 'What sets this store apart from others: the name of the folder of its files.';

CREATE TABLE store_sealed (
    table_name VARCHAR NOT NULL,
    number BIGINT NOT NULL,
    rows BIGINT NOT NULL,
    first_us BIGINT NOT NULL,
    last_us BIGINT NOT NULL,
    columns VARCHAR[] NOT NULL,
    dropped_us BIGINT,
    PRIMARY KEY (table_name, number)
);
COMMENT ON TABLE store_sealed IS 'The files that rows were moved into, and when those of them were dropped that were.';

ALTER TABLE confirmation RENAME TO store_hot_confirmation;
ALTER TABLE event RENAME TO store_hot_event;
ALTER TABLE fault RENAME TO store_hot_fault;
ALTER TABLE gap RENAME TO store_hot_gap;
ALTER TABLE ledger_range RENAME TO store_hot_ledger_range;
ALTER TABLE trail RENAME TO store_hot_trail;
ALTER TABLE posting RENAME TO store_hot_posting;
ALTER TABLE receipt RENAME TO store_hot_receipt;
ALTER TABLE state_mark RENAME TO store_hot_state_mark;
ALTER TABLE telemetry_minute RENAME TO store_hot_telemetry_minute;

CREATE VIEW confirmation AS FROM store_hot_confirmation;
CREATE VIEW event AS FROM store_hot_event;
CREATE VIEW fault AS FROM store_hot_fault;
CREATE VIEW gap AS FROM store_hot_gap;
CREATE VIEW ledger_range AS FROM store_hot_ledger_range;
CREATE VIEW trail AS FROM store_hot_trail;
CREATE VIEW posting AS FROM store_hot_posting;
CREATE VIEW receipt AS FROM store_hot_receipt;
CREATE VIEW state_mark AS FROM store_hot_state_mark;
CREATE VIEW telemetry_minute AS FROM store_hot_telemetry_minute;
