"""Quality control: what is wrong with a recorded run or a dataset, found without executing anything."""
