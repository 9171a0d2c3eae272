"""The drawing of the folders in docs/architecture.md. `python -m ops.docs.folders` writes it.

The floor of a folder is one above the highest folder that it imports. So somebody who reads from
the bottom up knows everything that a folder uses.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PATH: Final = ROOT / "docs" / "architecture.md"
PACKAGES: Final = ("ops", "producer", "workers", "common")

BEGIN: Final = "<!-- folders: written by `python -m ops.docs.folders` -->\n"
END: Final = "<!-- end of folders -->\n"

Graph = dict[str, set[str]]


class ImportCycle(Exception):
    """Folders or modules that import each other, directly or through others."""


def find_modules() -> dict[str, Path]:
    """Return the path of every module of the four packages, by its dotted name."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            relative = path.relative_to(ROOT)
            parts = relative.with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = relative
    return found


def find_imports(path: Path) -> Iterator[str]:
    """Yield the absolute names that a module imports, also in functions and `if TYPE_CHECKING`."""
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = path.parts[: -node.level] if node.level else ()
            base = ".".join((*above, *filter(None, [node.module])))
            yield from (f"{base}.{alias.name}" for alias in node.names)


def find_module_imports() -> Graph:
    """Return for each module the modules of earshot that it imports."""
    known = find_modules()
    graph: Graph = {}
    for module, path in known.items():
        targets = {
            name if name in known else name.rpartition(".")[0] for name in find_imports(path)
        }
        graph[module] = targets & known.keys() - {module}
    return graph


def find_folder_imports(depth: int) -> Graph:
    """Return for each folder the folders that its modules import.

    Folders that are deeper than `depth` count as a part of the folder above.
    """
    known = find_modules()
    graph: Graph = {}
    for module, targets in find_module_imports().items():
        folder = _folder(known[module], depth)
        others = {_folder(known[target], depth) for target in targets}
        graph.setdefault(folder, set()).update(others - {folder})
    return graph


def find_floors(graph: Graph) -> dict[str, int]:
    """Return the floor of each folder or module. Raises ImportCycle, which names the cycle."""
    found: dict[str, int] = {}

    def floor(folder: str, above: tuple[str, ...]) -> int:
        if folder in above:
            raise ImportCycle(" -> ".join((*above[above.index(folder) :], folder)))
        if folder not in found:
            below = [floor(target, (*above, folder)) for target in sorted(graph[folder])]
            found[folder] = 1 + max(below, default=-1)
        return found[folder]

    for folder in sorted(graph):
        floor(folder, ())
    return found


def draw() -> str:
    """Draw the folders of each package from the top floor down, with what they import.

    Imported folders of the same package have their names; other packages are named as a whole.
    """
    graph = find_folder_imports(depth=2)
    floor = find_floors(graph)
    blocks = []
    for package in PACKAGES:
        folders = [folder for folder in graph if folder.split("/")[0] == package]
        folders = [f for f in folders if f not in {"ops", "workers"}]  # which hold folders only
        lines = [
            f"{floor[folder]}  {_label(folder):<20} ─▶ "
            f"{_list_targets(package, graph[folder], floor)}\n"
            for folder in sorted(folders, key=lambda folder: (-floor[folder], folder))
        ]
        blocks.append("".join(lines))
    return "\n".join(blocks)


def _label(folder: str) -> str:
    return folder if "/" in folder else f"{folder}/*.py"


def _list_targets(package: str, targets: set[str], floor: dict[str, int]) -> str:
    inside = [target for target in targets if target.split("/")[0] == package]
    inside.sort(key=lambda target: (-floor[target], target))
    outside = {target.split("/")[0] for target in targets} - {package}
    names = [target.removeprefix(f"{package}/").replace("common", "*.py") for target in inside]
    return ", ".join([*names, *(other for other in PACKAGES if other in outside)]) or "nothing"


def render(page: str) -> str:
    """Return the page with the present drawing. Raises ValueError if it has no place for it."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PATH.name} needs the lines {BEGIN!r} and {END!r}")
    return f"{before}{begin}\n```\n{draw()}```\n\n{end}{after}"


def _folder(path: Path, depth: int) -> str:
    return "/".join(path.parts[:-1][:depth])


if __name__ == "__main__":
    PATH.write_text(render(PATH.read_text(encoding="utf-8")), encoding="utf-8")
