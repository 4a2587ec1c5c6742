"""Side-by-side measurements; run them from a checkout, for example `python benchmarks/steps.py`."""
