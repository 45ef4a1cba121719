from __future__ import annotations

import importlib.util
import re
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", ["agents", "schemas", "streams"])
def test_the_import_name_is_this_repositorys_folder(name: str) -> None:
    """Another installed package of so general a name would hide ours (docs/adr/0001)."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin == str(ROOT / name / "__init__.py")


@pytest.mark.parametrize("name", ["agents", "schemas", "streams"])
def test_the_packages_say_that_they_are_typed(name: str) -> None:
    assert files(name).joinpath("py.typed").is_file()


@pytest.mark.parametrize("requirements", ["demo.txt", "dev.txt", "worker.txt"])
def test_what_pip_installs_is_what_the_lock_file_says(requirements: str) -> None:
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    locked = {(package["name"], package.get("version")) for package in lock["package"]}
    listed = (ROOT / "requirements" / requirements).read_text()
    pinned = re.findall(r"^([a-z0-9._-]+)==([^ ;\\]+)", listed, re.MULTILINE)
    assert pinned
    assert set(pinned) <= locked


def test_every_dependency_is_named_once_and_says_why() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    dependencies = re.findall(r'^  "([a-z0-9-]+)[=<>][^"]*",(.*)$', text, re.MULTILINE)
    names = [name for name, _ in dependencies]
    assert len(names) > 10
    assert len(set(names)) == len(names)
    assert all("#" in reason for _, reason in dependencies)
