"""The rules, one file a criterion. Importing this package registers them all.

`RULES_VERSION` is part of the provenance of every score. Raise it whenever a rule, a weight's meaning or the
reading of steps changes a score; a test with recorded scores fails until that is done.
"""

from ..scores import CRITERIA
from . import argument_correctness, goal_progress, non_redundancy, tool_choice, use_of_information
from .base import Rule, rules_of

__all__ = ["RULES_VERSION", "all_rules"]

RULES_VERSION = "2"
_MODULES = (goal_progress, tool_choice, argument_correctness, use_of_information, non_redundancy)


def all_rules() -> dict[str, tuple[Rule, ...]]:
    """Every rule by criterion, in the order of `CRITERIA`."""
    return {criterion: rules_of(criterion) for criterion in CRITERIA}
