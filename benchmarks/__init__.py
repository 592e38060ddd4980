"""Benchmarks: speed claims are made here and nowhere else; `make bench` runs them."""
