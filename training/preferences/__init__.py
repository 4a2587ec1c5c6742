"""Which of two answers is better, why, by whose word, and how surely; and where better answers come from."""

__all__: list[str] = []
