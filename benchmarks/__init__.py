"""Every figure that is quoted anywhere: ``python -m benchmarks.<name> --help``."""
