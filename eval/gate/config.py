"""What the gate is told."""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Clustering", "GateConfig", "Rule"]

Rule = Literal["excludes_zero", "exceeds_min_gain"]
Clustering = Literal["auto", "task", "repository"]


class GateConfig(BaseModel):
    """When a candidate is better. Decide on these values before you look at outcomes."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    min_gain: float = Field(default=0.03, ge=0, lt=1)
    """The least gain worth having, as a share of episodes resolved (0.03: three points)."""
    alpha: float = Field(default=0.05, gt=0, le=0.5)
    """The false-GO rate stays at or under this; intervals have the level 1 - alpha."""
    rule: Rule = "excludes_zero"
    """`excludes_zero`: the interval lies above 0 and the measured gain reaches `min_gain`. `exceeds_min_gain`: all of
    the interval lies above `min_gain`, which shows that the true gain does, and needs far more tasks."""
    submitted: bool = False
    """An episode counts as resolved only when the agent itself said that it was done (stop reason `submitted`); else
    the final patch is judged however the episode ended, as SWE-bench does."""
    cluster: Clustering = "auto"
    """What varies independently: tasks, or repositories. `auto`: repositories when there are enough of them (at least
    ten degrees of freedom), which the sizes of the repositories decide and no outcome does."""
    power: float = Field(default=0.8, gt=0.5, lt=1)
    """How probable a GO should be for the gains that are called detectable."""
    max_excluded: float = Field(default=0.1, ge=0, lt=1)
    """The share of a side's episodes that infrastructure may have spoilt; with more there is no decision."""
    may_differ: tuple[str, ...] = ()
    """Dotted names of `run.json`, or globs of them, in which the sides may differ besides who acts, for example
    `config.budget.*`. Each one that does is told in the report."""
    unchained: bool = False
    """Accept logs of schema version 1.0, which carry no hash chain. A chain that was taken away is never accepted."""
    seals: Mapping[str, str] = Field(default_factory=dict[str, str])
    """Published seals by folder of a run, as given; another seal is refused."""
    flips: int = Field(default=100_000, ge=1000)
    """Random sign flips where the exact distribution would take too long."""
    seed: int = 0
    """Of those flips."""
