"""Benchmarks against the peers, one module each: `make bench NAME=...`."""
