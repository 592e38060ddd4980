-- What is consumed or moved, and from where to where (event, version 3).

ALTER TABLE event ADD COLUMN quantity BIGINT DEFAULT 0;
ALTER TABLE event ADD COLUMN from_bin VARCHAR DEFAULT '';
ALTER TABLE event ADD COLUMN to_bin VARCHAR DEFAULT '';
ALTER TABLE event ADD COLUMN handling_unit VARCHAR DEFAULT '';
ALTER TABLE event ALTER COLUMN quantity SET NOT NULL;
ALTER TABLE event ALTER COLUMN from_bin SET NOT NULL;
ALTER TABLE event ALTER COLUMN to_bin SET NOT NULL;
ALTER TABLE event ALTER COLUMN handling_unit SET NOT NULL;
