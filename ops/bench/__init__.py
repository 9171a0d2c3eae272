"""The benchmarks of `earshot bench`."""
