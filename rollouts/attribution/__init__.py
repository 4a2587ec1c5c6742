"""Who is to blame for an episode that did not succeed: rules that name a kind of failure and show their evidence."""

from typing import TYPE_CHECKING

from ...lazy import lazy

if TYPE_CHECKING:
    from .attribute import ATTRIBUTION, Attribution, attribute_run
    from .evidence import Evidence
    from .kinds import Kind

__all__ = ["ATTRIBUTION", "Attribution", "Evidence", "Kind", "attribute_run"]

__getattr__ = lazy(
    __name__,
    {
        "attribute": ["ATTRIBUTION", "Attribution", "attribute_run"],
        "evidence": ["Evidence"],
        "kinds": ["Kind"],
    },
)
