"""Data sets on disk: rows in TRL's formats, their figures and their card."""

__all__: list[str] = []
