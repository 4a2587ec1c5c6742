"""An experiment: does this data make a model better? From tasks to gated arms, one folder a stage."""
