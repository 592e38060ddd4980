"""Where records come from: landed files, Kafka partitions, streams of an embedded commit log."""
