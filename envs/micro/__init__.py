"""Small repair tasks made on the spot: packages with one-line bugs, for loops that must be cheap and still be real.

Each is a SWE-bench 5 task in a Docker image of its own: a repository with visible tests, an issue, a reference patch
and a hidden test that decides. Ten tasks share a repository, whose image is one thin layer.
"""

from .build import MicroConfig, build_micro, write_micro
from .families import FAMILIES, Family
from .names import SPLITS, Split, words_of
from .packages import MicroPackage, MicroTask, make_packages

__all__ = [
    "FAMILIES",
    "SPLITS",
    "Family",
    "MicroConfig",
    "MicroPackage",
    "MicroTask",
    "Split",
    "build_micro",
    "make_packages",
    "words_of",
    "write_micro",
]
