"""Faults that the rules of attribution were not written with: thought up, with what is right, by somebody who had not
read them.
"""

from collections.abc import Sequence

from .fault_stage import Fault
from .heldout_controls import CONTROLS
from .heldout_environment import ENVIRONMENT
from .heldout_grader import GRADER
from .heldout_model import MODEL
from .heldout_records import RECORDS
from .heldout_service import SERVICE
from .heldout_tool import TOOL

__all__ = ["HELD_OUT"]

HELD_OUT: Sequence[Fault] = (*MODEL, *TOOL, *ENVIRONMENT, *SERVICE, *GRADER, *RECORDS, *CONTROLS)
