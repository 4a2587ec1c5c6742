"""Prices for tables: the shipped ones, with files or single values on top."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import yaml

from ...errors import ConfigError
from ...rewards.service.usage import Price, PriceTable, default_prices
from ...validation import validated
from ..config import read_overrides

__all__ = ["read_prices"]

_MODELS = "prices.models."
_FIELDS = tuple(Price.model_fields)


def read_prices(items: Sequence[str]) -> PriceTable:
    """The price table that `FILE.yaml`, `prices=FILE.yaml` and `prices.models.NAME={...}` give, later ones on top.

    A file holds `prices: {...}`, or a price table itself. Raises ConfigError that names each wrong value.
    """
    table = default_prices().model_dump(mode="json")
    for item in items:
        given = _given(item)
        models: object = given.pop("models", None) or {}
        if not isinstance(models, Mapping):
            raise ConfigError(f"{item}: models should be prices by name")
        for name, price in cast("Mapping[str, Any]", models).items():
            known: dict[str, Any] = table["models"].get(name) or {}
            table["models"][name] = known | price if isinstance(price, dict) else price
        table |= given
    return validated(PriceTable, table, "the price table", under="prices.")


def _given(item: str) -> dict[str, Any]:
    """What one item says, as a part of a price table. Names of models may hold dots."""
    key, equals, value = item.partition("=")
    key = key.strip()
    if equals and key.startswith(_MODELS):
        name, _, field = key.removeprefix(_MODELS).rpartition(".")
        if field in _FIELDS and name:
            return {"models": {name: {field: _yaml(value, item)}}}
        return {"models": {key.removeprefix(_MODELS): _yaml(value, item)}}
    if equals and key == "prices" and Path(value).suffix in (".yaml", ".yml"):
        item = value
    given = read_overrides([item])
    inner: object = given.pop("prices", None)
    if isinstance(inner, Mapping) and not given:
        return dict(cast("Mapping[str, Any]", inner))
    if inner is not None:
        raise ConfigError(f"{item}: only prices can be set here, not {', '.join(sorted(given)) or 'that'}")
    return given


def _yaml(text: str, where: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{where} is not YAML: {error}") from None
