"""What came out: run records, prices, cost, statistics, comparison. Imports nothing else of ours, no torch, no jax."""
