"""How large shapes are."""


def rectangle(width, height):
    """Area of a rectangle."""
    if width < 0 or height < 0:
        raise ValueError("negative side")
    return width * height


def square(side):
    """Area of a square."""
    return rectangle(side, side)


def triangle(base, height):
    """Area of a triangle."""
    return rectangle(base, height)
