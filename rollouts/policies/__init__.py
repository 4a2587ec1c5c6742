"""Who acts: the built-in policies and the protocol they follow."""

from .base import Action, Context, Policy, PolicyBase, PolicyStop, Session, TaskView
from .choose import POLICIES, make_policy

__all__ = [
    "POLICIES",
    "Action",
    "Context",
    "Policy",
    "PolicyBase",
    "PolicyStop",
    "Session",
    "TaskView",
    "make_policy",
]
