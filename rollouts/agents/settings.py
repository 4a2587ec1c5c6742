"""Which agent does a run, with which model."""

from collections.abc import Mapping
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ...rewards.service.config import ServiceConfig
from .recipe import Api, Recipe

__all__ = ["AgentConfig"]


class _Service(NamedTuple):
    url: str
    key: str


_PUBLIC: Mapping[Api, _Service] = {
    "openai": _Service("https://api.openai.com/v1", "OPENAI_API_KEY"),
    "anthropic": _Service("https://api.anthropic.com", "ANTHROPIC_API_KEY"),
    "gemini": _Service("https://generativelanguage.googleapis.com", "GEMINI_API_KEY"),
}


class AgentConfig(BaseModel):
    """A command-line agent in place of a policy."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    recipe: Recipe
    """The resolved recipe."""
    model: str | None = None
    """Name of the model; None for an agent that asks none."""
    base_url: str = ""
    """Root of the model's API; "": the public one of the recipe's API."""
    api_key_env: str | None = None
    """Variable of this process's environment that holds the key. None: the public service's own; a service of your own
    is sent none."""
    other_models: tuple[str, ...] = Field(default=())
    """Globs of further models that the agent may ask, for titles or summaries; the run's model always may."""

    @field_validator("base_url")
    @classmethod
    def _no_credentials(cls, value: str) -> str:
        return ServiceConfig(base_url=value).base_url

    @property
    def url(self) -> str:
        """Root of the model's API."""
        return self.base_url or _PUBLIC[self.recipe.api].url

    @property
    def key_env(self) -> str | None:
        """Variable that holds the key."""
        return self.api_key_env or (None if self.base_url else _PUBLIC[self.recipe.api].key)
