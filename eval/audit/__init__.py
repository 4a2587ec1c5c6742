"""The chain of trust of a run in one report: task, execution, reward, preference, effect, each with its evidence."""
