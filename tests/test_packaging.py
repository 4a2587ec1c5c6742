"""What is installed is what is in the tree; imports are light; every module says what it exports."""

import importlib
import pkgutil
import resource
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import types
import zipfile
from pathlib import Path

import pytest
import trajectory_hub

ROOT = Path(__file__).parents[1]
OUTSIDE = {"tests", "docs", "scripts", "build", "runs", "tasks"}
SITE = f"sys.path.append({sysconfig.get_paths()['purelib']!r})"
"""With `python -S`: installed packages can be imported, and no .pth file has imported ours."""
HEAVY = ("docker", "requests", "pydantic", "numpy", "gymnasium", "swebench", "datasets", "httpx", "yaml", "torch")


def tracked() -> list[Path]:
    """Files of the checkout that are not ignored, as paths from its root."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return sorted(Path(name) for name in listed.split("\0") if name and (ROOT / name).is_file())


def package_folders() -> set[Path]:
    """Folders of the tree that hold Python files of the package."""
    files = [path for path in tracked() if path.suffix == ".py" and path.parts[0] not in OUTSIDE]
    return {path.parent for path in files}


def module_names() -> list[str]:
    found = pkgutil.walk_packages([str(ROOT)], "trajectory_hub.")
    names = [module.name for module in found if module.name.split(".")[1] not in OUTSIDE]
    return [name for name in names if not name.endswith((".__main__", ".conftest", ".setup"))]


def test_list_of_packages_equals_the_tree() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    listed = set(settings["packages"])
    in_tree = {".".join(("trajectory_hub", *folder.parts)) for folder in package_folders()}
    assert listed == in_tree
    assert all((ROOT / folder / "__init__.py").is_file() for folder in package_folders())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked wheel, built from a source distribution of what the repository holds."""
    folder = tmp_path_factory.mktemp("wheel")
    for path in tracked():
        target = folder / "source" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, target)
    command = [sys.executable, "-m", "build", "--no-isolation", "-o", str(folder), str(folder / "source")]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout[-3000:] + built.stderr[-3000:]
    (archive,) = folder.glob("*.whl")
    zipfile.ZipFile(archive).extractall(folder / "site")
    return folder / "site"


def test_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    folders = package_folders() | {Path("configs/schema"), Path("rewards/judge/prompts")}
    wanted = {path for path in tracked() if path.parent in folders and path.parent != Path()}
    missing = sorted(str(path) for path in wanted if not (wheel / "trajectory_hub" / path).is_file())
    assert not missing, "not in the wheel; add them to [tool.setuptools.package-data]"
    assert (wheel / "trajectory-hub.pth").is_file()
    assert not [name for name in ("tests", "conftest.py", "setup.py") if (wheel / "trajectory_hub" / name).exists()]


def test_every_module_imports_from_the_wheel(wheel: Path) -> None:
    script = (
        f"import sys, importlib, warnings; warnings.simplefilter('error'); {SITE}; sys.path.insert(0, sys.argv[1])\n"
        "for name in sys.argv[2:]:\n"
        "    module = importlib.import_module(name)\n"
        "    assert module.__file__.startswith(sys.argv[1]), module.__file__\n"
    )
    names = [name for name in module_names() if not name.startswith("trajectory_hub.benchmarks.")]
    assert len(names) > 50
    done = subprocess.run(
        [sys.executable, "-S", "-c", script, str(wheel), *names], cwd=wheel, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("name", module_names())
def test_all_lists_what_is_exported(name: str) -> None:
    module = importlib.import_module(name)
    listed = getattr(module, "__all__", None)
    is_package = (module.__file__ or "").endswith("__init__.py")
    own = {
        key
        for key, value in vars(module).items()
        if not key.startswith("_")
        and getattr(value, "__module__", None) == name
        and isinstance(value, type | types.FunctionType)
    }
    if listed is None:
        assert is_package, f"{name} has no __all__"
        assert not own
        return
    assert len(listed) == len(set(listed))
    missing = [key for key in listed if not hasattr(module, key)]
    assert not missing, f"{name}.__all__ names what is not there"


def cost(code: str) -> tuple[float, set[str]]:
    """CPU seconds of a Python that runs `code`, whatever else the machine does, and the heavy modules it loads."""
    tail = f"\nimport sys; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    spent, loaded = list[float](), set[str]()
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.executable, "-c", code + tail], capture_output=True, text=True, check=True, cwd="/")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        loaded = set(done.stdout.splitlines()[-1].split())
    return min(spent), loaded


def test_import_is_light() -> None:
    seconds, loaded = cost("import trajectory_hub")
    assert loaded == set()
    assert seconds < 0.2


def test_help_is_quick() -> None:
    code = (
        "import sys\nsys.argv = ['trajhub', '-h']\nfrom trajectory_hub.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code"
    )
    typers_own = "import sys, typer\nsys.argv = ['a', '-h']\na = typer.Typer()\na.command()(lambda: None)\na()"
    bare, _ = cost(f"try:\n    exec({typers_own!r})\nexcept SystemExit:\n    pass")
    seconds, loaded = cost(code)
    assert loaded == set()
    assert seconds < max(0.3, 2.2 * bare), "a machine under load takes longer, for an empty program as well"


def test_importing_gymnasium_does_not_import_the_package_s_weight() -> None:
    code = "import gymnasium, sys\nassert 'SWEBench-v0' in gymnasium.registry\n"
    code += "assert not [name for name in ('docker', 'pydantic', 'swebench', 'httpx') if name in sys.modules]"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr


def test_a_bare_checkout_can_be_imported(tmp_path: Path) -> None:
    """`conftest.py` makes the checkout importable where the package is not installed."""
    code = (
        f"import sys, runpy\n{SITE}\nrunpy.run_path({str(ROOT / 'conftest.py')!r})\n"
        f"import trajectory_hub.errors as e\nassert e.__file__ == {str(ROOT / 'errors.py')!r}, e.__file__"
    )
    command = [sys.executable, "-S", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_version_is_told_once() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == trajectory_hub.__version__
    assert (
        f"## [{trajectory_hub.__version__}]" in (ROOT / "CHANGELOG.md").read_text()
        or "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text()
    )


def test_base_install_stays_small() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert len(project["dependencies"]) <= 8
