"""The experiments: data, networks, runner, benchmarks and the demo."""
