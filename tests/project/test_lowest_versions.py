"""What is tested with the lowest versions is what pyproject.toml allows; nothing else differs."""

import tomllib
from typing import Any

import pytest

from tests.support.lowest_versions import FACING_THE_NETWORK, ROOT, constraints, lowest


def project(*extra: str) -> dict[str, Any]:
    return {"project": {"dependencies": list(extra), "optional-dependencies": {}}}


def test_of_each_there_is_a_lowest_version_that_is_not_above_the_pinned_one() -> None:
    versions = lowest(tomllib.loads((ROOT / "pyproject.toml").read_text()))
    pins = (ROOT / "constraints.txt").read_text().lower().split()
    pinned = dict(pin.split("==") for pin in pins)
    assert versions.keys() == FACING_THE_NETWORK
    for name, version in versions.items():
        assert _numbers(version) <= _numbers(pinned[name]), name


def test_only_these_take_other_versions() -> None:
    pins = "httpx==0.28.1\nSSE_Starlette==3.7.0\nstarlette==1.10.0\n"
    found = constraints(pins, {"sse-starlette": "2.0", "starlette": "1.3"})
    assert found == "httpx==0.28.1\nsse-starlette==2.0\nstarlette==1.3\n"


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (["redis"], "redis has no lowest version"),
        (["redis<9"], "redis has no lowest version"),
        (["redis>=6", "redis>=7"], "redis has two lowest versions: 6 and 7"),
        (["redis[hiredis]>=6 ; python_version < '4'", "Redis >= 6, <9"], "nothing asks for openai"),
    ],
)
def test_a_bound_that_says_nothing_is_refused(more: list[str], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        lowest(project(*more))


def test_no_version_of_starlette_is_allowed_that_believes_a_path_in_the_host_header() -> None:
    versions = lowest(tomllib.loads((ROOT / "pyproject.toml").read_text()))
    assert _numbers(versions["starlette"]) >= (1, 3)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
