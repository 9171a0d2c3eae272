"""A script is its file behind the files that it includes, under the digest that Redis knows."""

import hashlib
from importlib import resources

import pytest

from common.redis.script import INCLUDE, Script, source

NAMES = sorted(
    file.name.removesuffix(".lua")
    for file in (resources.files("common") / "lua").iterdir()
    if file.name.endswith(".lua")
)


def test_there_are_scripts() -> None:
    assert {"publish", "commit", "settle_turn", "tend", "replay"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_script_includes_stands_before_it_once(name: str) -> None:
    text = source(name)
    own = (resources.files("common") / "lua" / f"{name}.lua").read_text(encoding="utf-8")
    assert text.endswith(own)
    for part in INCLUDE.findall(own):
        included = (resources.files("common") / "lua" / f"{part}.lua").read_text(encoding="utf-8")
        assert text.count(included) == 1
        assert text.index(included) < text.index(own)


def test_the_digest_is_the_one_that_redis_computes() -> None:
    script = Script("publish")
    assert script.digest == hashlib.sha1(source("publish").encode()).hexdigest()
