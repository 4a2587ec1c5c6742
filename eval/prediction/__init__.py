"""Prediction from traces: tasks with splits, models with honest errors, policies replayed offline."""

__all__: list[str] = []
