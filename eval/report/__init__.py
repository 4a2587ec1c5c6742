"""The report of an experiment: what was trained on what, what came out, and how to get every figure again."""
