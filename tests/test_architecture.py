"""The direction of imports: errors <- tools <- envs <- rewards <- rollouts <- training, eval <- cli."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ALLOWED = {
    "tools": {"errors", "lazy", "tools"},
    "envs": {"errors", "lazy", "validation", "console", "tools", "envs", "configs"},
    "rewards": {"errors", "extras", "lazy", "validation", "page", "plotting", "tools", "envs", "rewards", "configs"},
    "rollouts": {"errors", "lazy", "validation", "console", "tools", "envs", "rewards", "rollouts", "configs"},
}
HEAVY = {"docker", "datasets", "swebench", "torch", "transformers", "trl", "ray", "rich", "unidiff"}


def modules(folder: str) -> list[Path]:
    """Python files of a sub-package."""
    return sorted(path for path in (ROOT / folder).rglob("*.py"))


def imported(path: Path, *, top_level_only: bool) -> set[str]:
    """First names of what a module imports; names inside this package are the sub-package they begin with."""
    tree = ast.parse(path.read_text())
    depth = len(path.relative_to(ROOT).parent.parts)
    found: set[str] = set()
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level == depth + 1:
                found |= {module.split(".")[0]} if module else {alias.name for alias in node.names}
            elif node.level:
                found.add(path.relative_to(ROOT).parts[0])
            else:
                parts = module.split(".")
                found.add(parts[1] if parts[0] == "trajectory_hub" and len(parts) > 1 else parts[0])
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
    return found


def ours() -> set[str]:
    """Sub-packages and modules of the package."""
    return {p.stem for p in ROOT.glob("*.py")} | {p.name for p in ROOT.iterdir() if (p / "__init__.py").exists()}


@pytest.mark.parametrize("folder", list(ALLOWED))
def test_imports_go_one_way(folder: str) -> None:
    for path in modules(folder):
        allowed = ALLOWED[folder] | (frozenset({"console"}) if path.name.endswith("_cli.py") else frozenset[str]())
        wrong = (imported(path, top_level_only=False) & ours()) - allowed
        assert not wrong, f"{path.relative_to(ROOT)} imports {sorted(wrong)}"


@pytest.mark.parametrize("folder", [*ALLOWED, "."])
def test_heavy_packages_are_imported_where_they_are_used(folder: str) -> None:
    paths = modules(folder) if folder != "." else sorted(ROOT.glob("*.py"))
    for path in paths:
        found = imported(path, top_level_only=True)
        assert not found & HEAVY, f"{path.relative_to(ROOT)} imports {sorted(found & HEAVY)} at the top"
