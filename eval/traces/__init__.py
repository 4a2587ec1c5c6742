"""Measurement of traces: what papers compute of agents' runs, from the tables of layer 2 alone."""
