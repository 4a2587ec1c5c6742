"""Who is to blame for an episode that did not succeed: rules that name a kind of failure and show their evidence."""

from .attribute import ATTRIBUTION, Attribution, attribute, attribute_run
from .evidence import Evidence
from .kinds import Kind

__all__ = ["ATTRIBUTION", "Attribution", "Evidence", "Kind", "attribute", "attribute_run"]
