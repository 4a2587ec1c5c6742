import unittest

import pytest

from shapes import rectangle, square


def test_square():
    assert square(3) == 9


class TestArea(unittest.TestCase):
    def test_rectangle(self):
        self.assertEqual(rectangle(2, 3), 6)

    def test_negative(self):
        with pytest.raises(ValueError):
            rectangle(-1, 1)
