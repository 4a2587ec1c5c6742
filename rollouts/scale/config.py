"""How a run is spread over a Ray cluster."""

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["RayConfig"]


class RayConfig(BaseModel):
    """Which nodes do episodes, and how many."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    address: str = "auto"
    """Of the cluster's head, `HOST:PORT`; `auto`: what `RAY_ADDRESS` says, else the cluster this machine is part of."""
    resource: str | None = None
    """Only nodes that offer this custom resource (`ray start --resources='{"docker": 1}'`); null: every node."""
    per_node: int | None = Field(default=None, ge=1)
    """Episodes at once on a node; null: `workers` divided by the nodes there are at the start, rounded up."""
    cpus: float = Field(default=0.0, ge=0)
    """CPUs that a node's host process reserves in Ray's books, where sandboxes, which are Docker's, do not appear."""
    deaths: int = Field(default=3, ge=0)
    """How often the host process of a living node is started again after it died, before the node is given up."""
    patience: float = Field(default=120.0, gt=0)
    """Seconds a host may take to start, and a run waits while no node can be used."""
