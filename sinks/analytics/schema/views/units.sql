-- What analysts start from: whole units as decimals, instants as UTC timestamps.
-- Written anew at every opening of the store, so a view may be changed without a migration.

CREATE OR REPLACE MACRO units(thousandths) AS
    CAST(CAST(thousandths AS DECIMAL(30, 0)) * 0.001 AS DECIMAL(18, 3));
COMMENT ON MACRO units IS 'Whole units of a quantity in thousandths.';
