"""Measurements on a real Kafka: `python -m benchmarks list`. What they gave is in docs/performance.md."""
