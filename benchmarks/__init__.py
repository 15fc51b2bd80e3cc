"""Speed and memory: `python -m benchmarks.NAME` prints the figures of one run, JSON last."""
