"""Lua scripts: their files, their named keys and arguments, and running them by their digest.

A script, and each file that it includes, names its keys and arguments in its header:

    -- include: session
    -- keys: stream dead
    -- args: entry deliveries:number final:flag messages...

These lines become the first line of the text that Redis runs: `local stream = KEYS[7]` and so on,
numbered through all files. A `:number` is converted, a `:flag` is true or false. The last argument
may end in dots and then takes any number of values; `messages_at` is the place of the first one in
ARGV. Callers pass keys and arguments by these names.
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

from redis.exceptions import NoScriptError

from common.redis.client import AnyRedis

INCLUDE: Final = re.compile(r"^-- include: (\w+)$", re.MULTILINE)
KEYS: Final = re.compile(r"^-- keys: (.+)$", re.MULTILINE)
ARGS: Final = re.compile(r"^-- args: (.+)$", re.MULTILINE)

FORMS: Final = {
    "": "ARGV[{place}]",
    "number": "tonumber(ARGV[{place}])",
    "flag": "ARGV[{place}] == '1'",
}
"""How Lua reads an argument of each kind."""

Value = str | bytes | int | float
Reader = Callable[[str], str]
"""From the name of a Lua file to its text."""


@dataclass(frozen=True, slots=True)
class Signature:
    """The names of a script's keys and arguments, in their order.

    `args` take one value each, `rest` any number (empty: there is no such argument); `named` holds
    both. `prologue` is the Lua line that gives the names their values.
    """

    keys: tuple[str, ...]
    args: tuple[str, ...]
    rest: str
    named: tuple[str, ...]
    prologue: str

    def ordered(
        self, keys: Mapping[str, str], args: Mapping[str, Value | Sequence[Value]]
    ) -> tuple[list[str], list[Value]]:
        """Return keys and arguments as Redis takes them.

        Raises TypeError for one that is missing or that the script does not have.
        """
        _check("keys", self.keys, keys)
        _check("arguments", self.named, args)
        values: list[Value] = []
        for name in self.args:
            value = args[name]
            if not isinstance(value, Value):
                raise TypeError(f"the argument {name} takes one value, not {value!r}")
            values.append(int(value) if isinstance(value, bool) else value)
        more = args[self.rest] if self.rest else ()
        if isinstance(more, Value):
            raise TypeError(f"the argument {self.rest} takes a sequence, not {more!r}")
        return [keys[name] for name in self.keys], [*values, *more]


def assemble(name: str, read: Reader | None = None) -> str:
    """Return the text that Redis runs: the named arguments, the included files, the script."""
    files = _files(name, read or read_file)
    return "\n".join([parse_signature(files).prologue, *files])


def parse_signature(files: Sequence[str]) -> Signature:
    """Return the keys and arguments that these files name, in the order of the files."""
    keys = [key for text in files for line in KEYS.findall(text) for key in line.split()]
    args = [arg for text in files for line in ARGS.findall(text) for arg in line.split()]
    names = [arg.partition(":")[0] for arg in args]
    rest = names.pop().removesuffix("...") if names and names[-1].endswith("...") else ""
    reads = [f"local {key} = KEYS[{place}]" for place, key in enumerate(keys, 1)]
    reads += [
        f"local {arg.partition(':')[0]} = {FORMS[arg.partition(':')[2]].format(place=place)}"
        for place, arg in enumerate(args[: len(names)], 1)
    ]
    if rest:
        reads.append(f"local {rest}_at = {len(names) + 1}")
    every = [*keys, *names, rest]
    if len(set(every)) < len(every) or any(name.endswith("...") for name in names):
        raise ValueError(f"a name stands twice, or dots before the last argument: {every}")
    named = (*names, rest) if rest else tuple(names)
    return Signature(tuple(keys), tuple(names), rest, named, "; ".join(reads))


def read_file(name: str) -> str:
    """Return the text of `lua/NAME.lua`."""
    return (resources.files("common") / "lua" / f"{name}.lua").read_text(encoding="utf-8")


class Script:
    """One Lua script. A call runs it on the server of its keys; Redis caches it by its SHA-1."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.signature = parse_signature(_files(name, read_file))
        self.text = assemble(name)
        self.digest = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    async def __call__(
        self, redis: AnyRedis, keys: Mapping[str, str], **args: Value | Sequence[Value]
    ) -> Any:
        ordered_keys, values = self.signature.ordered(keys, args)
        try:
            return await redis.evalsha(self.digest, len(keys), *ordered_keys, *values)
        except NoScriptError:
            return await redis.eval(self.text, len(keys), *ordered_keys, *values)


def _files(name: str, read: Reader) -> list[str]:
    """Return the texts of a file and of all that it includes: each once, included ones first."""
    names: dict[str, str] = {}

    def add(name: str) -> None:
        own = read(name)
        for part in INCLUDE.findall(own):
            if part not in names:
                add(part)
        names[name] = own

    add(name)
    return list(names.values())


def _check(what: str, known: Sequence[str], given: Mapping[str, Any]) -> None:
    if len(given) == len(known) and all(map(given.__contains__, known)):
        return
    if missing := [name for name in known if name not in given]:
        raise TypeError(f"{what} are missing: {', '.join(missing)}")
    if unknown := [name for name in given if name not in known]:
        raise TypeError(f"the script has no {what} {', '.join(unknown)}, only {', '.join(known)}")
