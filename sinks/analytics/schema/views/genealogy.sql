-- Which lot went into which.

CREATE OR REPLACE VIEW genealogy AS
WITH
used AS (
    SELECT plant, order_id, material, lot, unit, sum(quantity) AS quantity
    FROM usage
    WHERE lot <> '' AND order_id <> ''
    GROUP BY ALL
),
made AS (
    SELECT plant, order_id, material, lot, unit, sum(good) + sum(rework) AS quantity
    FROM production
    WHERE lot <> '' AND order_id <> ''
    GROUP BY ALL
    HAVING sum(good) + sum(rework) > 0
)
SELECT
    used.plant,
    used.order_id,
    used.material AS component,
    used.lot AS component_lot,
    units(used.quantity) AS used,
    used.unit AS used_unit,
    made.material,
    made.lot,
    units(made.quantity) AS made,
    made.unit AS made_unit
FROM used
JOIN made ON used.plant = made.plant AND used.order_id = made.order_id;
COMMENT ON VIEW genealogy IS
    'Which lot of a component went into which lot, by the order that used the one and made the other; whole units.';

CREATE OR REPLACE MACRO trace_back(of_lot) AS TABLE
WITH RECURSIVE
found (plant, order_id, level) USING KEY (plant, order_id) AS (
    SELECT DISTINCT plant, order_id, 1 FROM production WHERE lot = of_lot AND order_id <> ''
    UNION
    SELECT production.plant, production.order_id, min(found.level) + 1
    FROM found
    JOIN usage ON usage.plant = found.plant AND usage.order_id = found.order_id
    JOIN production ON production.material = usage.material AND production.lot = usage.lot
    LEFT JOIN recurring.found AS known ON known.plant = production.plant AND known.order_id = production.order_id
    WHERE usage.lot <> '' AND production.order_id <> '' AND known.level IS NULL
    GROUP BY ALL
),
used AS (
    SELECT level, plant, order_id, material, lot, unit, sum(quantity) AS quantity
    FROM usage JOIN found USING (plant, order_id)
    WHERE lot <> ''
    GROUP BY ALL
),
made AS (
    SELECT plant, order_id, material, lot, unit, sum(good) + sum(rework) AS quantity
    FROM production SEMI JOIN found USING (plant, order_id)
    WHERE lot <> ''
    GROUP BY ALL
    HAVING sum(good) + sum(rework) > 0
)
SELECT
    used.level,
    used.plant,
    used.order_id,
    used.material AS component,
    used.lot AS component_lot,
    units(used.quantity) AS used,
    used.unit AS used_unit,
    made.material,
    made.lot,
    units(made.quantity) AS made,
    made.unit AS made_unit
FROM used JOIN made ON used.plant = made.plant AND used.order_id = made.order_id
WHERE made.lot = of_lot OR (made.material, made.lot) IN (SELECT material, lot FROM used)
ORDER BY ALL;
COMMENT ON MACRO TABLE trace_back IS 'What went into a lot, level by level, over orders and plants; whole units.';

CREATE OR REPLACE MACRO trace_forward(of_lot) AS TABLE
WITH RECURSIVE
found (plant, order_id, level) USING KEY (plant, order_id) AS (
    SELECT DISTINCT plant, order_id, 1 FROM usage WHERE lot = of_lot AND order_id <> ''
    UNION
    SELECT usage.plant, usage.order_id, min(found.level) + 1
    FROM found
    JOIN production ON production.plant = found.plant AND production.order_id = found.order_id
    JOIN usage ON usage.material = production.material AND usage.lot = production.lot
    LEFT JOIN recurring.found AS known ON known.plant = usage.plant AND known.order_id = usage.order_id
    WHERE production.lot <> '' AND usage.order_id <> '' AND known.level IS NULL
    GROUP BY ALL
),
used AS (
    SELECT level, plant, order_id, material, lot, unit, sum(quantity) AS quantity
    FROM usage JOIN found USING (plant, order_id)
    WHERE lot <> ''
    GROUP BY ALL
),
made AS (
    SELECT plant, order_id, material, lot, unit, sum(good) + sum(rework) AS quantity
    FROM production SEMI JOIN found USING (plant, order_id)
    WHERE lot <> ''
    GROUP BY ALL
    HAVING sum(good) + sum(rework) > 0
)
SELECT
    used.level,
    used.plant,
    used.order_id,
    used.material AS component,
    used.lot AS component_lot,
    units(used.quantity) AS used,
    used.unit AS used_unit,
    made.material,
    made.lot,
    units(made.quantity) AS made,
    made.unit AS made_unit
FROM used JOIN made ON used.plant = made.plant AND used.order_id = made.order_id
WHERE used.lot = of_lot OR (used.material, used.lot) IN (SELECT material, lot FROM made)
ORDER BY ALL;
COMMENT ON MACRO TABLE trace_forward IS 'What a lot went into, level by level, over orders and plants; whole units.';
