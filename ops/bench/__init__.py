"""The benchmarks, but for how well it hears."""
