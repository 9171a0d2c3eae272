"""Constraints for a test: of what faces the network the lowest versions that pyproject.toml allows,
of everything else those of constraints.txt. `tests/support/lowest.sh` installs them.

Run as: python -m tests.support.lowest_versions > FILE
"""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
FACING_THE_NETWORK: Final = frozenset(
    {"openai", "redis", "rq", "sse-starlette", "starlette", "uvicorn", "websockets"}
)


def lowest(project: dict[str, Any]) -> dict[str, str]:
    """Name and lowest version of each; raises ValueError where that is not said, or said twice."""
    found: dict[str, str] = {}
    for name, rest in _requirements(project["project"]):
        if name not in FACING_THE_NETWORK:
            continue
        bound = re.fullmatch(r">=([0-9][0-9.]*)(,.*)?", rest.partition(";")[0].replace(" ", ""))
        if bound is None:
            raise ValueError(f"{name} has no lowest version: {name}{rest}")
        if found.setdefault(name, bound[1]) != bound[1]:
            raise ValueError(f"{name} has two lowest versions: {found[name]} and {bound[1]}")
    if missing := FACING_THE_NETWORK - found.keys():
        raise ValueError(f"nothing asks for {', '.join(sorted(missing))} any more")
    return found


def constraints(pins: str, versions: dict[str, str]) -> str:
    """The lines of constraints.txt with these versions in the place of their own."""
    lines = [line for line in pins.splitlines() if _name(line.partition("==")[0]) not in versions]
    return "\n".join([*lines, *(f"{name}=={version}" for name, version in versions.items())]) + "\n"


def _requirements(project: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Name and the rest of all that is asked for, by earshot and by its extras."""
    extras = project["optional-dependencies"].values()
    for asked in (project["dependencies"], *extras):
        for one in asked:
            match = re.match(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?", one)
            assert match is not None, one
            yield _name(match[1]), one[match.end() :].strip()


def _name(text: str) -> str:
    """As the index compares names."""
    return re.sub(r"[-_.]+", "-", text).lower()


def main() -> None:
    """Prints them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    print(constraints(pins, lowest(project)), end="")


if __name__ == "__main__":
    main()
