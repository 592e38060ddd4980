-- Planned stops: breaks and maintenance, which are no part of planned busy time. What was read before had none.

CREATE TABLE planned_stop (
    plant VARCHAR NOT NULL,
    work_center VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    shift VARCHAR NOT NULL,
    posting_date DATE NOT NULL,
    begin_us BIGINT NOT NULL,
    end_us BIGINT NOT NULL
);
ALTER TABLE state_interval ADD COLUMN planned_us BIGINT DEFAULT 0;
ALTER TABLE state_interval ALTER COLUMN planned_us SET NOT NULL;
ALTER TABLE state_interval ALTER COLUMN planned_us DROP DEFAULT;
ALTER TABLE state_time ADD COLUMN planned_us HUGEINT DEFAULT 0;
ALTER TABLE state_time ALTER COLUMN planned_us SET NOT NULL;
ALTER TABLE state_time ALTER COLUMN planned_us DROP DEFAULT;
