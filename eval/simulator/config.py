"""What is simulated: a cluster, how work arrives, and the policies that are compared."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["Arrivals", "Closed", "Cluster", "Poisson", "PolicyConfig", "Recorded", "SimulatorConfig"]

_STRICT = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Cluster(BaseModel):
    """Replicas of one model, all alike. Measure these figures on your own server."""

    model_config = _STRICT

    replicas: int = Field(default=1, ge=1)
    prefill_tokens_per_s: float = Field(default=8000.0, gt=0)
    """Prompt tokens that are not cached and that a replica reads in a second."""
    decode_s: float = Field(default=0.02, ge=0)
    """Seconds for one more token of every running request, whatever their number."""
    decode_s_per_request: float = Field(default=0.0005, ge=0)
    """Seconds that each running request adds to that."""
    batch: int = Field(default=32, ge=1)
    """Requests that run at once."""
    prefill_share: float = Field(default=0.5, gt=0, le=1)
    """Share of a replica's time for prompts while answers are also under way; 1 lets answers wait."""
    kv_tokens: int = Field(default=200_000, ge=1)
    """Tokens that a replica's cache holds, of running requests and of idle sessions together."""
    routing: Literal["sticky", "least_loaded"] = "sticky"
    """Where a session's next request goes: to where its cache is, or to where there is least to do."""

    def decode_step(self, running: int) -> float:
        """Seconds for one more token of so many requests."""
        return self.decode_s + self.decode_s_per_request * running


class Poisson(BaseModel):
    """Sessions are drawn from the source and arrive at random."""

    model_config = _STRICT

    kind: Literal["poisson"] = "poisson"
    per_minute: float = Field(default=6.0, gt=0)
    sessions: int = Field(default=200, ge=1)


class Closed(BaseModel):
    """Sessions are drawn from the source; each that ends is followed by another."""

    model_config = _STRICT

    kind: Literal["closed"] = "closed"
    at_once: int = Field(default=16, ge=1)
    sessions: int = Field(default=200, ge=1)


class Recorded(BaseModel):
    """The source's sessions, when they really arrived."""

    model_config = _STRICT

    kind: Literal["recorded"] = "recorded"
    speed: float = Field(default=1.0, gt=0)
    """2 lets them arrive twice as fast."""


Arrivals = Annotated[Poisson | Closed | Recorded, Field(discriminator="kind")]


class PolicyConfig(BaseModel):
    """What becomes of a session's cache while a tool runs, and who is served first."""

    model_config = _STRICT

    cache: Literal["none", "lru", "ttl", "tool_aware"] = "lru"
    """`none`: dropped at once. `lru`: the one idle for longest goes first. `ttl`: that, and dropped after `ttl_s`.
    `tool_aware`: kept when its tool call is expected back within `keep_s`; the one expected back last goes first."""
    ttl_s: float = Field(default=300.0, gt=0)
    keep_s: float = Field(default=60.0, gt=0)
    pin: bool = False
    """Of `tool_aware`: what is kept makes no room for sessions that came later, while anything runs."""
    wait: Literal["kind", "predictor", "oracle"] = "kind"
    """Where expected waits come from: waits seen so far after calls of the kind, a predictor's file, or the truth."""
    scheduling: Literal["fcfs", "program", "least_attained"] = "fcfs"
    """First: the request that came first, the session that came first, or the one that was served least so far."""


class SimulatorConfig(BaseModel):
    """A simulation."""

    model_config = _STRICT

    cluster: Cluster = Field(default_factory=Cluster)
    arrivals: Arrivals = Field(default_factory=Poisson)
    policies: dict[str, PolicyConfig] = Field(min_length=1)
    """By name; the first one is what the others are compared with."""
    seeds: int = Field(default=5, ge=1)
    """Simulations of each policy, with the same arrivals for all policies."""
    seed: int = 0
    """The first seed."""
    predictor: str | None = None
    """File of a predictor of tool_latency, for policies whose `wait` is `predictor`."""

    @model_validator(mode="after")
    def _has_predictor(self) -> "SimulatorConfig":
        needing = [name for name, policy in self.policies.items() if policy.wait == "predictor"]
        if needing and self.predictor is None:
            raise ValueError(f"the policy {needing[0]} needs a predictor: give -c predictor=FILE")
        return self
