"""Areas of shapes."""

from .area import rectangle, square, triangle

__all__ = ["rectangle", "square", "triangle"]
