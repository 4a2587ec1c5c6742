"""What `run.json` holds, as a model: the one source of its JSON Schema."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["PolicyRecord", "RunManifest", "Sitting"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True)


class PolicyRecord(_Record):
    """Who acted."""

    name: str
    version: str
    model: str | None = None
    privileged: bool = False
    """It was shown the reference patch."""


class Sitting(_Record):
    """One time that the run was worked on."""

    started: str
    """UTC, ISO 8601."""
    changed: Mapping[str, Any] = Field(default_factory=dict[str, Any])
    """Settings that differ from those of the first sitting, and that may."""
    service: Mapping[str, float] = Field(default_factory=dict[str, float])
    """What the policy's model server counted meanwhile, whoever asked it: tokens, and queries and hits of its prefix
    cache, likewise in tokens. Since 1.2."""


class RunManifest(_Record):
    """Everything that says what a run is. A field that this version does not know is kept."""

    schema_version: str = "1.0"
    run_id: str
    created: str
    """UTC, ISO 8601."""
    config: Mapping[str, Any] | None = None
    """The resolved configuration, prices included; null for a run recorded without a runner."""
    rubric: Mapping[str, Any] | None = None
    """The resolved rubric whose scores the logs hold; null without one, and before version 1.1."""
    policy: PolicyRecord | None = None
    seeds: tuple[int, ...] = ()
    tasks: Mapping[str, str] = Field(default_factory=dict[str, str])
    """SHA-256 of each task, its first 16 digits, by instance id."""
    images: Mapping[str, str | None] = Field(default_factory=dict[str, str | None])
    """Id of each image by name."""
    versions: Mapping[str, str | None] = Field(default_factory=dict[str, str | None])
    """Of this package, Python, the libraries that matter, and the platform."""
    commit: str | None = None
    """Of the checkout that recorded it."""
    engine: Mapping[str, Any] = Field(default_factory=dict[str, Any])
    """Version, control groups and storage driver of the Docker engine."""
    sittings: tuple[Sitting, ...] = ()
