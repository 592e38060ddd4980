"""The audit trail: what shards and people write into it, and its check."""
