"""The image of each role is made of what the repository has, and runs without rights."""

import re
import tomllib
from fnmatch import fnmatch
from typing import Any

import pytest

from tests.project.compose_cases import ROLES
from tests.support.compose_file import services
from tests.support.repository import ROOT


@pytest.mark.parametrize("role", ROLES)
class TestImage:
    """The image of a role, read from its Dockerfile."""

    def instructions(self, role: str) -> list[tuple[str, str]]:
        build = services({})[role]["build"]
        assert build["context"] == "."
        text = (ROOT / build["dockerfile"]).read_text().replace("\\\n", " ")
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines]

    def arguments(self, role: str, instruction: str) -> list[str]:
        return [rest for name, rest in self.instructions(role) if name == instruction]

    def test_it_copies_what_exists_and_is_not_ignored(self, role: str) -> None:
        kept = (ROOT / ".dockerignore").read_text().splitlines()
        assert kept[1] == "*"
        sources = []
        for rest in self.arguments(role, "COPY"):
            if not rest.startswith("--from="):
                sources += rest.split()[:-1]
        for source in sources:
            assert (ROOT / source).exists(), source
            assert f"!{source}" in kept, f"{source} is ignored"
            assert not any(fnmatch(source, line) for line in kept if line[:1] not in "!*#")
        packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
        assert packages <= set(sources)

    def test_it_installs_the_extra_of_its_role_under_the_constraints(self, role: str) -> None:
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
            "optional-dependencies"
        ]
        (install,) = re.findall(
            r"pip install -c constraints\.txt ['\"]\.\[([\w${}]+)\]['\"]",
            "\n".join(self.arguments(role, "RUN")),
        )
        chosen = dict(rest.split("=") for rest in self.arguments(role, "ARG"))
        install = chosen["EXTRAS"] if install == "${EXTRAS}" else install
        assert install == {"listen": "mic"}.get(role, role)
        assert install in extras

    def test_it_is_small_and_runs_as_nobody_in_particular(self, role: str) -> None:
        first, last = self.arguments(role, "FROM")
        assert first == "python:3.11-slim AS build"
        assert last == "python:3.11-slim"
        (user,) = self.arguments(role, "USER")
        assert user == "earshot"
        final = self.instructions(role)[self.instructions(role).index(("FROM", last)) :]
        assert not any("gcc" in rest or "pip" in rest for _, rest in final)

    def test_it_starts_the_role(self, role: str) -> None:
        assert self.arguments(role, "ENTRYPOINT") == ['["earshot"]']
        assert self.arguments(role, "CMD") == [f'["{role}"]']
        assert services({})[role]["command"] == [role]

    def test_the_folders_of_its_volumes_are_its_own(self, role: str) -> None:
        """A named volume takes over owner and mode of the folder that the image has there."""
        made: list[Any] = re.findall(
            r"install -d -o earshot -g earshot (\S+)", "\n".join(self.arguments(role, "RUN"))
        )
        mounts = [
            mount for mount in services({})[role].get("volumes", []) if isinstance(mount, str)
        ]
        assert made == [mount.partition(":")[2] for mount in mounts]
