"""Why a gate gives no decision. No decision is never a GO, and not a NO-GO either."""

from collections.abc import Sequence

from ...errors import InfrastructureError, UsageError

__all__ = ["TooMuchExcluded", "Unusable", "refuse"]

_SHOWN = 8


class Unusable(UsageError):
    """Raised when results are missing, do not belong together, or are not what was recorded."""


class TooMuchExcluded(InfrastructureError):
    """Raised when infrastructure spoilt so many episodes that what is left says little about the model."""


def refuse(where: str, problems: Sequence[str], advice: str) -> None:
    """Raise Unusable with the problems, if there are any."""
    if problems:
        more = f"\n  and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise Unusable(f"{where}:\n  " + "\n  ".join(problems[:_SHOWN]) + more + f"\n{advice}")
