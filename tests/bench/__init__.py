"""Measurements of the running platform; each prints one JSON object on its last line (``docs/benchmarks.md``)."""
