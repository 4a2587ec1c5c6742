"""Commit ids, diffs, trees and catalogue: what must be exact for tasks to be reproducible."""

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from trajectory_hub.envs.factory.catalogue import DEFAULT_CATALOGUE, Catalogue, Distribution, load_catalogue
from trajectory_hub.envs.factory.diffs import diff_file, diff_trees
from trajectory_hub.envs.factory.distributions import fetch, index_url, read_tree
from trajectory_hub.envs.factory.gitobjects import AUTHOR, COMMIT_DATE, MESSAGE, commit_id
from trajectory_hub.errors import ConfigError, InfrastructureError

FILES = {
    "a.txt": b"one\n",
    "a/b.txt": b"two",
    "a.b/c": b"",
    "run.sh": b"#!/bin/sh\n",
    "z/\xc3\xa9".encode("latin-1").decode(): b"\x00\xff",
}


def git(folder: Path, *arguments: str) -> str:
    name, email = AUTHOR.removesuffix(">").split(" <")
    date = f"{COMMIT_DATE} +0000"
    who = {
        f"GIT_{r}_{k}": v
        for r in ("AUTHOR", "COMMITTER")
        for k, v in zip(("NAME", "EMAIL", "DATE"), (name, email, date), strict=True)
    }
    done = subprocess.run(["git", *arguments], cwd=folder, env={**os.environ, **who}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def write(folder: Path, files: dict[str, bytes]) -> None:
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)


def test_commit_id_is_gits_own(tmp_path: Path) -> None:
    write(tmp_path, FILES)
    (tmp_path / "run.sh").chmod(0o755)
    git(tmp_path, "init", "-q", "-b", "main", ".")
    git(tmp_path, "add", "-A", "-f", ".")
    git(tmp_path, "commit", "-q", "-m", MESSAGE)
    assert git(tmp_path, "rev-parse", "HEAD") == commit_id(FILES, {"run.sh"})


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a\nb\nc\n", "a\nB\nc\n"),
        ("a\nb", "a\nb\n"),
        ("a\n", "a\nb"),
        ("a\x0cb\nc\n", "a\x0cb\nd\n"),
        ("", "a\n"),
        (None, "new\nfile\n"),
        ("old\n", None),
    ],
)
def test_diffs_apply_with_git(tmp_path: Path, before: str | None, after: str | None) -> None:
    if before is not None:
        write(tmp_path, {"d/f.txt": before.encode()})
    patch = diff_file("d/f.txt", before, after)
    (tmp_path / "p.diff").write_bytes(patch.encode())
    git(tmp_path, "init", "-q", ".")
    git(tmp_path, "apply", "p.diff")
    assert (
        (tmp_path / "d/f.txt").read_bytes().decode() == after
        if after is not None
        else not (tmp_path / "d/f.txt").exists()
    )


def test_nothing_changed_gives_no_diff() -> None:
    assert diff_trees({"a": "x\n"}, {"a": "x\n"}) == ""


def sdist(folder: Path) -> Path:
    path = folder / "thing-1.0.tar.gz"
    kept = {"thing/__init__.py": b"x = 1\n", "build_tools/b.py": b"", "README": b"hi"}
    dropped = {
        "thing.egg-info/SOURCES.txt": b"",
        "build/lib/thing/__init__.py": b"x = 2\n",
        "thing/__pycache__/a.pyc": b"",
        "PKG-INFO": b"Name: thing\nVersion: 1.0\n",
    }
    with tarfile.open(path, "w:gz") as archive:
        for name, data in (kept | dropped).items():
            entry = tarfile.TarInfo(f"thing-1.0/{name}")
            entry.size, entry.mtime, entry.mode = len(data), 86400, 0o755 if name == "README" else 0o644
            archive.addfile(entry, io.BytesIO(data))
    return path


def test_tree_holds_what_a_repository_would(tmp_path: Path) -> None:
    tree = read_tree(sdist(tmp_path))
    assert sorted(tree.files) == ["README", "build_tools/b.py", "thing/__init__.py"]
    assert tree.executable == {"README"}
    assert tree.metadata.startswith("Name: thing")
    assert tree.created_at == "1970-01-02T00:00:00+00:00"
    assert tree.below("thing", suffix=".py") == ["thing/__init__.py"]


def test_shipped_catalogue_is_large_enough_and_pinned() -> None:
    catalogue = load_catalogue()
    assert len(catalogue.packages) >= 12
    assert sum(package.quota for package in catalogue.packages) >= 330
    assert sum(len(package.releases) for package in catalogue.packages) >= 20
    runner = {"pytest", *(wheel.name for wheel in catalogue.requirements)}
    assert not runner & {package.name for package in catalogue.packages}
    assert all(package.licence and "/" in package.repo for package in catalogue.packages)


def test_catalogue_refuses_unpinned_versions() -> None:
    data = load_catalogue().model_dump(mode="json")
    data["packages"][0]["inject"] = "99.0"
    with pytest.raises(ValueError, match=r"no sdist is pinned for 99\.0"):
        Catalogue.model_validate(data)


def test_unreadable_catalogue_says_where(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("packages: [1]")
    with pytest.raises(ConfigError, match=r"c\.yaml"):
        load_catalogue(tmp_path / "c.yaml")


def test_unknown_package_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"nonesuch.*it has boltons"):
        load_catalogue(DEFAULT_CATALOGUE).only(["nonesuch"])


def test_file_with_another_digest_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = Distribution(name="thing", version="1.0", file="thing-1.0.tar.gz", sha256="0" * 64)

    def served(_: Distribution) -> bytes:
        return b"other"

    monkeypatch.setattr("trajectory_hub.envs.factory.distributions._download", served)
    with pytest.raises(InfrastructureError, match="the catalogue says 000"):
        fetch(wrong, tmp_path)
    assert not (tmp_path / wrong.file).exists()


def test_index_is_the_one_pip_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    index_url.cache_clear()
    monkeypatch.setenv("PIP_INDEX_URL", "http://index.example/simple/")
    assert index_url() == "http://index.example/simple"
    index_url.cache_clear()


@pytest.mark.network
def test_distribution_is_fetched_by_name_and_digest(tmp_path: Path) -> None:
    index_url.cache_clear()
    package = load_catalogue().only(["toolz"]).packages[0]
    path = fetch(package.sdist(package.inject), tmp_path)
    assert "toolz/functoolz.py" in read_tree(path).files
