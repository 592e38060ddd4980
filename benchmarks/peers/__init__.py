"""Job J done by what a user would pick instead, on the same workload; `make bench-peers` runs it."""
