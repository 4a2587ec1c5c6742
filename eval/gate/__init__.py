"""The gate: is a candidate better than the base, shown by paired outcomes on the same tasks?"""

from .config import GateConfig
from .decide import compare, gate
from .report import Comparison, GateReport
from .unusable import TooMuchExcluded, Unusable

__all__ = ["Comparison", "GateConfig", "GateReport", "TooMuchExcluded", "Unusable", "compare", "gate"]
