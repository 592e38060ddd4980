-- Orders against their plan, over operations and plants.

CREATE OR REPLACE VIEW order_attainment AS
WITH
made AS (
    SELECT
        plant,
        order_id,
        operation,
        unit,
        max(material) AS material,
        sum(good) AS good,
        sum(scrap) AS scrap,
        sum(rework) AS rework,
        sum(finals) > 0 AS complete,
        min(first_occurred_us) AS first_us,
        max(last_occurred_us) AS last_us
    FROM production
    WHERE order_id <> ''
    GROUP BY plant, order_id, operation, unit
),
placed AS (
    SELECT made.*, operation.place
    FROM made
    LEFT JOIN operation
        ON operation.plant = made.plant AND operation.order_id = made.order_id AND operation.operation = made.operation
),
attained AS (
    SELECT
        plant,
        order_id,
        unit,
        max(material) AS material,
        max_by(operation, (coalesce(place, 0), operation)) AS operation,
        max_by(good, (coalesce(place, 0), operation)) AS good,
        sum(scrap) AS scrap,
        sum(rework) AS rework,
        max_by(complete, (coalesce(place, 0), operation)) AS complete,
        min(first_us) AS first_us,
        max(last_us) AS last_us
    FROM placed
    GROUP BY plant, order_id, unit
)
SELECT
    planned.erp,
    coalesce(planned.plant, attained.plant) AS plant,
    coalesce(planned.order_id, attained.order_id) AS order_id,
    planned.status,
    coalesce(planned.material, attained.material) AS material,
    coalesce(material.family, '') AS family,
    coalesce(attained.unit, planned.unit) AS unit,
    CASE WHEN attained.unit IS NULL OR attained.unit = planned.unit THEN planned.planned END AS planned,
    attained.operation,
    units(coalesce(attained.good, 0)) AS good,
    units(coalesce(attained.scrap, 0)) AS scrap,
    units(coalesce(attained.rework, 0)) AS rework,
    CASE WHEN attained.unit IS NULL OR attained.unit = planned.unit
    THEN coalesce(attained.good, 0) / 1000 / nullif(planned.planned, 0) END AS share,
    coalesce(attained.complete, false) AS complete,
    make_timestamp(attained.first_us) AS first_occurred,
    make_timestamp(attained.last_us) AS last_occurred
FROM production_order AS planned
FULL JOIN attained ON attained.plant = planned.plant AND attained.order_id = planned.order_id
LEFT JOIN material ON material.material = coalesce(planned.material, attained.material);
COMMENT ON VIEW order_attainment IS
    'Each order against its plan: what its last operation with output has yielded, and all scrap and rework; whole units.';
COMMENT ON COLUMN order_attainment.erp IS 'The ERP that told of the order; none where none did.';
COMMENT ON COLUMN order_attainment.status IS
    'created, released, locked, technically-complete, closed or deleted; none where no ERP told of the order.';
COMMENT ON COLUMN order_attainment.operation IS 'The last operation of the routing that has output.';
COMMENT ON COLUMN order_attainment.planned IS 'Planned quantity; none where it is in another unit, or not known.';
COMMENT ON COLUMN order_attainment.good IS 'What that operation has yielded.';
COMMENT ON COLUMN order_attainment.scrap IS 'Scrap of all operations.';
COMMENT ON COLUMN order_attainment.rework IS 'Rework of all operations.';
COMMENT ON COLUMN order_attainment.share IS 'Part of the planned quantity that is yielded, 1 where it is all.';
COMMENT ON COLUMN order_attainment.complete IS 'Whether that operation was reported complete.';

CREATE OR REPLACE VIEW family_output AS
SELECT
    family,
    plant,
    unit,
    count(*) AS orders,
    sum(planned) AS planned,
    sum(good) AS good,
    sum(scrap) AS scrap,
    sum(rework) AS rework,
    CAST(sum(good) AS DOUBLE) / nullif(CAST(sum(planned) AS DOUBLE), 0) AS share,
    CAST(sum(scrap) AS DOUBLE) / nullif(CAST(sum(good + scrap + rework) AS DOUBLE), 0) AS scrap_share
FROM order_attainment
GROUP BY family, plant, unit;
COMMENT ON VIEW family_output IS
    'Product families over plants: orders, planned, yielded, scrapped; family is empty where no material record tells it.';
COMMENT ON COLUMN family_output.orders IS 'Number of orders.';
COMMENT ON COLUMN family_output.good IS 'What the last operation of each order has yielded.';
COMMENT ON COLUMN family_output.share IS 'Part of the planned quantity that is yielded: of the sums, never a mean of shares.';
COMMENT ON COLUMN family_output.scrap_share IS 'Scrap as a part of yield, scrap and rework: of the sums.';

CREATE OR REPLACE VIEW lot_status AS
SELECT
    word.plant,
    coalesce(word.material, lot.material) AS material,
    coalesce(word.lot, lot.lot) AS lot,
    lot.status,
    coalesce(word.type, '') AS word,
    coalesce(word.quality, '') AS quality,
    coalesce(word.reason, '') AS reason,
    make_timestamp(word.occurred_us) AS said,
    coalesce(lot.status, 'valid') <> 'not-valid' AND coalesce(word.type, '') <> 'hold' AS usable
FROM lot
FULL JOIN lot_word AS word ON word.material = lot.material AND word.lot = lot.lot;
COMMENT ON VIEW lot_status IS 'Lots: what the ERP says of each, and the newest hold or release that a plant told of.';
COMMENT ON COLUMN lot_status.plant IS 'The plant that told of it; none where only the ERP did.';
COMMENT ON COLUMN lot_status.status IS 'Of the ERP: valid, restricted or not-valid; none where it has not told of it.';
COMMENT ON COLUMN lot_status.word IS 'hold or release, the newest; empty where there was none.';
COMMENT ON COLUMN lot_status.quality IS 'What the quality system said with it.';
COMMENT ON COLUMN lot_status.said IS 'When it was said.';
COMMENT ON COLUMN lot_status.usable IS 'Whether it is neither held nor not valid.';
