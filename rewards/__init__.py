"""What a step was worth: rubric, rules, and the wrapper that turns scores into rewards."""
