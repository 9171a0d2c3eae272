"""Lua scripts as files: loading them, with what they share, and running them by their digest."""

import hashlib
import re
from collections.abc import Sequence
from importlib import resources
from typing import Any, Final

from redis.exceptions import NoScriptError

from common.redis.client import AnyRedis

INCLUDE: Final = re.compile(r"^-- include: (\w+)$", re.MULTILINE)


def source(name: str) -> str:
    """The text of `lua/NAME.lua` behind the files that its `-- include: NAME` lines name."""
    folder = resources.files("common") / "lua"
    text = (folder / f"{name}.lua").read_text(encoding="utf-8")
    shared = [
        (folder / f"{part}.lua").read_text(encoding="utf-8") for part in INCLUDE.findall(text)
    ]
    return "\n".join([*shared, text])


class Script:
    """One transition. Calling it runs it where its keys live; Redis caches it by its SHA-1."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.text = source(name)
        self.digest = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    async def __call__(
        self, redis: AnyRedis, keys: Sequence[str], args: Sequence[str | bytes | int | float]
    ) -> Any:
        try:
            return await redis.evalsha(self.digest, len(keys), *keys, *args)
        except NoScriptError:
            return await redis.eval(self.text, len(keys), *keys, *args)
