-- What is in force of the reference data, at the instant of the question.

CREATE OR REPLACE MACRO in_force(valid_from_us, valid_to_us, deleted) AS
    NOT deleted
    AND valid_from_us <= epoch_us(now())
    AND (valid_to_us IS NULL OR epoch_us(now()) < valid_to_us);
COMMENT ON MACRO in_force IS 'Whether a record of a table *_reference holds at the instant of the question.';

CREATE OR REPLACE VIEW production_order AS
SELECT
    erp,
    plant,
    order_id,
    status,
    material,
    units(quantity) AS planned,
    unit,
    over_delivery / 1000 AS over_delivery,
    storage_location,
    make_timestamp(changed_us) AS changed
FROM order_reference
WHERE in_force(valid_from_us, valid_to_us, deleted)
QUALIFY row_number() OVER (PARTITION BY erp, plant, order_id ORDER BY valid_from_us DESC) = 1;
COMMENT ON VIEW production_order IS
    'Production orders as their ERPs have them now: planned in whole units, over_delivery as a share of it; none: any.';
COMMENT ON COLUMN production_order.status IS
    'created, released, locked, technically-complete, closed or deleted, whatever its ERP calls it.';
COMMENT ON COLUMN production_order.over_delivery IS 'Tolerated above the planned quantity, as a part of it; none: any.';
COMMENT ON COLUMN production_order.storage_location IS 'Where the product is received.';

CREATE OR REPLACE VIEW operation AS
WITH step AS (
    SELECT erp, plant, order_id, unit, operations, counting_sources, unnest(range(1, len(operations) + 1)) AS place
    FROM order_reference
    WHERE in_force(valid_from_us, valid_to_us, deleted)
    QUALIFY row_number() OVER (PARTITION BY erp, plant, order_id ORDER BY valid_from_us DESC) = 1
)
SELECT
    erp,
    plant,
    order_id,
    place,
    operations[place].operation AS operation,
    operations[place].work_center AS work_center,
    units(operations[place].quantity) AS planned,
    unit,
    operations[place].confirmed_by AS confirmed_by,
    CASE WHEN len(operations[place].counting_sources) > 0 THEN operations[place].counting_sources ELSE counting_sources END
        AS counting_sources
FROM step;
COMMENT ON VIEW operation IS
    'Operations of the orders, in the places of their routing; confirmed_by is a later milestone that confirms it too.';
COMMENT ON COLUMN operation.place IS 'Place in the routing, from 1.';
COMMENT ON COLUMN operation.work_center IS 'Work centre that the routing plans.';
COMMENT ON COLUMN operation.confirmed_by IS 'A later operation whose confirmation confirms this one; empty: itself.';
COMMENT ON COLUMN operation.counting_sources IS 'Sources whose counts of its pieces are posted; empty: all.';

CREATE OR REPLACE VIEW component AS
WITH line AS (
    SELECT erp, plant, order_id, unnest(components) AS line
    FROM order_reference
    WHERE in_force(valid_from_us, valid_to_us, deleted)
    QUALIFY row_number() OVER (PARTITION BY erp, plant, order_id ORDER BY valid_from_us DESC) = 1
)
SELECT
    erp,
    plant,
    order_id,
    line.item,
    line.reservation,
    line.material,
    line.operation,
    units(line.quantity) AS planned,
    line.unit,
    line.backflush,
    line.storage_location
FROM line;
COMMENT ON VIEW component IS
    'Bills of material of the orders: what each is planned to use, in whole units; backflush: the ERP issues it itself.';
COMMENT ON COLUMN component.item IS 'Item of the reservation.';
COMMENT ON COLUMN component.reservation IS 'Reservation.';
COMMENT ON COLUMN component.material IS 'Material to be issued.';
COMMENT ON COLUMN component.operation IS 'Operation that uses it; empty: any.';
COMMENT ON COLUMN component.planned IS 'Required quantity.';
COMMENT ON COLUMN component.backflush IS 'Whether the ERP issues it itself when the operation is confirmed.';
COMMENT ON COLUMN component.storage_location IS 'Where it is issued from.';

CREATE OR REPLACE VIEW work_center AS
SELECT plant, work_center, make_timestamp(changed_us) AS changed
FROM work_center_reference
WHERE in_force(valid_from_us, valid_to_us, deleted)
QUALIFY row_number() OVER (PARTITION BY plant, work_center ORDER BY valid_from_us DESC) = 1;
COMMENT ON VIEW work_center IS 'Work centres that the ERPs know now.';

CREATE OR REPLACE VIEW material AS
SELECT material, family, base_unit, lot_managed, inspected, make_timestamp(changed_us) AS changed
FROM material_reference
WHERE in_force(valid_from_us, valid_to_us, deleted)
QUALIFY row_number() OVER (PARTITION BY material ORDER BY valid_from_us DESC) = 1;
COMMENT ON VIEW material IS
    'Materials that the ERPs know now: product family, base unit, and whether lots and inspections are kept of them.';
COMMENT ON COLUMN material.material IS 'Material.';
COMMENT ON COLUMN material.base_unit IS 'UN/ECE Recommendation 20 code in which the ERP keeps stock.';
COMMENT ON COLUMN material.lot_managed IS 'Whether every movement of it names a lot.';
COMMENT ON COLUMN material.inspected IS 'Whether a receipt of it waits for the quality release of its lot.';

CREATE OR REPLACE VIEW lot AS
SELECT material, lot, status, make_timestamp(changed_us) AS changed
FROM lot_reference
WHERE in_force(valid_from_us, valid_to_us, deleted)
QUALIFY row_number() OVER (PARTITION BY material, lot ORDER BY valid_from_us DESC) = 1;
COMMENT ON VIEW lot IS 'Lots that the ERPs know now, and whether each may be used.';
COMMENT ON COLUMN lot.material IS 'Material of the lot.';
COMMENT ON COLUMN lot.status IS 'valid, restricted or not-valid.';

CREATE OR REPLACE VIEW reason AS
SELECT plant, reason, erp_reason
FROM reason_reference
WHERE in_force(valid_from_us, valid_to_us, deleted)
QUALIFY row_number() OVER (PARTITION BY plant, reason ORDER BY valid_from_us DESC) = 1;
COMMENT ON VIEW reason IS 'Scrap reasons as the plants say them, and as the ERPs do.';
COMMENT ON COLUMN reason.erp_reason IS 'The ERP''s variance reason.';

CREATE OR REPLACE VIEW route AS
SELECT plant, erp, erp_plant, make_timestamp(valid_from_us) AS since
FROM route_reference
WHERE in_force(valid_from_us, valid_to_us, deleted)
QUALIFY row_number() OVER (PARTITION BY plant ORDER BY valid_from_us DESC) = 1;
COMMENT ON VIEW route IS 'Which ERP each plant posts to now, under which key, and since when.';
COMMENT ON COLUMN route.since IS 'From when on, by the last event of what is posted.';

CREATE OR REPLACE VIEW period AS
SELECT erp, first, last, open
FROM period_reference
WHERE in_force(valid_from_us, valid_to_us, deleted)
QUALIFY row_number() OVER (PARTITION BY erp, first ORDER BY valid_from_us DESC) = 1;
COMMENT ON VIEW period IS 'Posting periods of the ERPs, and whether each takes postings now.';
COMMENT ON COLUMN period.first IS 'First day.';
COMMENT ON COLUMN period.last IS 'Last day.';
COMMENT ON COLUMN period.open IS 'Whether it takes postings.';
