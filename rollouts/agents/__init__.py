"""Agents as black boxes: a command-line agent in a task's sandbox, its records joined into one event log."""
