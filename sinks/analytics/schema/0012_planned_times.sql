-- Planned setup and run time of the operations of orders.

ALTER TABLE order_reference ALTER COLUMN operations TYPE STRUCT(operation VARCHAR, work_center VARCHAR, quantity BIGINT, confirmed_by VARCHAR, setup_us BIGINT, run_us BIGINT)[] USING list_transform(operations, lambda step: struct_pack(operation := step.operation, work_center := step.work_center, quantity := step.quantity, confirmed_by := step.confirmed_by, setup_us := CAST(NULL AS BIGINT), run_us := CAST(NULL AS BIGINT)));
