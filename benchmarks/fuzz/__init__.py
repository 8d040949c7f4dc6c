"""Random and hostile grammars against the compiler: `python -m benchmarks.fuzz --help`."""
