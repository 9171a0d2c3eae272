"""What is installed: the four packages with their data, and nothing that only a clone needs."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from ops.docs.folders import PACKAGES, ROOT

OLDEST_SETUPTOOLS: Final = 77
"""As `build-system.requires` in pyproject.toml has it."""

ONLY_IN_A_CLONE: Final = ("ops/bench/", "ops/training/", "ops/docs/", "ops/deploy/", "ops/setup.sh")

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def source_files(folder: Path) -> set[str]:
    """The files of the four packages that an installed earshot needs, below `folder`."""
    paths = (path for package in PACKAGES for path in (folder / package).rglob("*"))
    names = {str(path.relative_to(folder)) for path in paths if path.is_file()}
    return {name for name in names if not name.startswith(ONLY_IN_A_CLONE)}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the clone: a build writes beside the source, and reads what an earlier one left."""
    folder = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for name in (*PACKAGES, "tests"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    return folder


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without the network."""
    version = importlib.metadata.version("setuptools")
    if int(version.split(".")[0]) < OLDEST_SETUPTOOLS:
        message = f"setuptools {version} is too old to build the wheel: make setup"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    target = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(target), str(source))
    (built,) = target.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def run(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run a Python program that finds the installed wheel and its dependencies, not the clone."""
    target = tmp_path_factory.mktemp("target")
    pip("install", "--no-deps", "--target", str(target), str(wheel))
    folders = [str(target), *{sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(folders)}

    def run_python(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            # -S: the clone is installed too, by a file that only `site` reads
            [sys.executable, "-S", *(word.format(target=target) for word in arguments)],
            cwd=target,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run_python


def pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_holds_every_file_of_the_four_packages_and_no_others(source: Path, wheel: Path) -> None:
    files = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert files == source_files(source)
    assert {name.split("/")[0] for name in files} == set(PACKAGES)


@pytest.mark.parametrize(
    "name",
    [
        "common/lua/session.lua",
        "common/lua/records.lua",
        "workers/llm/personas/assistant.toml",
        "workers/stt/demo_model/model.bin",
        "ops/dashboard/static/index.html",
        "ops/demo/recording/conversation.flac",
    ],
)
def test_it_holds_the_data(wheel: Path, name: str) -> None:
    assert name in zipfile.ZipFile(wheel).namelist()


@pytest.mark.parametrize("command", [["{target}/bin/earshot"], ["-P", "-m", "ops.cli"]])
def test_the_installed_command_works(run: Run, command: list[str]) -> None:
    done = run(*command, "--help")
    assert done.returncode == 0, done.stderr
    assert "listen" in done.stdout


def test_the_command_runs_what_was_installed(run: Run) -> None:
    done = run("-P", "-c", "import ops.cli.main; print(ops.cli.main.__file__)")
    assert str(ROOT) not in done.stdout


def test_without_a_clone_bench_says_in_one_sentence_where_it_is(run: Run) -> None:
    done = run("-P", "-m", "ops.cli", "bench", "llm")
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "clone" in done.stderr


@pytest.mark.parametrize("ignored", ["bench", "deploy", "docs", "training"])
def test_images_are_built_without_what_only_a_clone_needs(ignored: str) -> None:
    assert f"ops/{ignored}" in (ROOT / ".dockerignore").read_text().splitlines()
