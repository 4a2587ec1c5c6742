"""Who acts: the built-in policies and the protocol they follow."""

__all__: list[str] = []
