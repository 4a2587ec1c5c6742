"""Recorded episodes as training sees them: which may be used, how they are told as messages, what leaks."""

__all__: list[str] = []
