-- Who counts for the operations of orders (order_reference, version 3).

ALTER TABLE order_reference ADD COLUMN counting_sources VARCHAR[] DEFAULT [];
ALTER TABLE order_reference ALTER COLUMN counting_sources SET NOT NULL;
ALTER TABLE order_reference ALTER COLUMN operations TYPE STRUCT(operation VARCHAR, work_center VARCHAR, quantity BIGINT, confirmed_by VARCHAR, setup_us BIGINT, run_us BIGINT, counting_sources VARCHAR[])[] USING list_transform(operations, lambda step: struct_pack(operation := step.operation, work_center := step.work_center, quantity := step.quantity, confirmed_by := step.confirmed_by, setup_us := step.setup_us, run_us := step.run_us, counting_sources := CAST([] AS VARCHAR[])));
