"""Who acts and what is kept: policies, runner, recorder and the event log."""

__all__: list[str] = []
