"""The model card: README.md with the hub's YAML header; everything follows from the manifest."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ...console import safe

__all__ = ["model_card"]

_ABOUT = {
    "sft": "supervised fine-tuning on what the agent said",
    "dpo": "direct preference optimization with the tools' answers masked",
    "kto": "Kahneman-Tversky optimization with the tools' answers masked",
    "grpo": "group relative policy optimization in the environment itself",
}


def model_card(manifest: Mapping[str, Any]) -> str:
    """The file. What it says of success is nothing: only a paired evaluation does."""
    algorithm, config = manifest["algorithm"], manifest["config"]
    base = manifest["base_model"]["name"]
    header: dict[str, Any] = {
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["agent-trajectory-hub", "coding-agents", "tool-calling", "trl", algorithm],
    }
    if not Path(base).exists():
        header["base_model"] = base
    parts = [
        f"---\n{yaml.safe_dump(header, sort_keys=False)}---",
        f"# {safe(Path(config['output']).name)}",
        f"`{safe(base)}` after {_ABOUT[algorithm]}. Losses and margins say nothing about solved tasks: compare it with "
        "its base by `trajhub eval` and `trajhub gate`.",
        "## Data\n\n" + _table(("file", "bytes", "SHA-256"), _data(manifest)),
        "## Training\n\n" + _table(("figure", "value"), _figures(manifest)),
        "## Configuration\n\n```yaml\n" + yaml.safe_dump(_set(config), sort_keys=False, allow_unicode=True) + "```",
        "Everything above, and the checksums of the weights, are in `training.json`.",
    ]
    return "\n\n".join(parts) + "\n"


def _data(manifest: Mapping[str, Any]) -> list[tuple[object, ...]]:
    return [
        (f"{source['path']}/{file['name']}", file["bytes"], f"`{file['sha256']}`")
        for source in (*manifest["data"], *manifest.get("held_out", ()))
        for file in source["files"]
        if file["read"]
    ]


def _figures(manifest: Mapping[str, Any]) -> list[tuple[object, ...]]:
    code, versions, counts = manifest["code"], manifest["code"]["versions"], manifest.get("counts", {})
    losses = {name: value for name, value in manifest["losses"].items() if value is not None}
    figures = {
        **{f"{side}: {name}": value for side, found in counts.items() for name, value in found.items()},
        **{f"loss, {name.replace('_', ' ')}": value for name, value in losses.items()},
        "updates": manifest["steps"],
        "tokens": manifest["tokens"],
        "seconds": manifest["seconds"],
        "processes": manifest["processes"],
        "masks by": manifest["masks"],
        "seeds": ", ".join(f"{name} {seed}" for name, seed in manifest["seeds"].items()),
        "code": f"trajectory_hub {code['version']} ({code['commit'] or 'no checkout'})",
        "libraries": ", ".join(f"{name} {number}" for name, number in versions.items() if number),
    }
    return list(figures.items())


def _set(config: Mapping[str, Any]) -> dict[str, Any]:
    """What was set; what is null is left out."""
    return {key: value for key, value in config.items() if value is not None}


def _table(columns: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(safe(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
