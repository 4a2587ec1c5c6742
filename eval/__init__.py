"""What it was worth: evaluation runs, statistics, the gate. Nothing is here yet."""
