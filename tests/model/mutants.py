"""The scripts with a guard removed, each: what the model test must notice.

A guard that another one backs up is removed together with it, because either alone suffices.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Final

from common.redis.script import Script, assemble, read_file
from common.transitions import (
    answering,
    claims,
    dead_letters,
    letter_limits,
    publishing,
    tending,
    transcribing,
)

MODULES: Final[tuple[ModuleType, ...]] = (
    answering,
    claims,
    dead_letters,
    letter_limits,
    publishing,
    tending,
    transcribing,
)


@dataclass(frozen=True, slots=True)
class Edit:
    """`old`, which stands in `lua/FILE.lua` exactly once, becomes `new`."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """The scripts without one guard, named by what they no longer do."""

    guard: str
    edits: tuple[Edit, ...]


def scripts() -> list[Script]:
    """Every transition's script."""
    return [
        value for module in MODULES for value in vars(module).values() if isinstance(value, Script)
    ]


def edited(edits: Sequence[Edit]) -> Callable[[str], str]:
    """Read Lua files with some texts replaced."""

    def read(name: str) -> str:
        text = read_file(name)
        for edit in edits:
            if edit.file == name:
                text = text.replace(edit.old, edit.new)
        return text

    return read


def check_found(mutant: Mutant) -> None:
    """Raises AssertionError if an edit's text is no longer in its file, or more than once."""
    for edit in mutant.edits:
        found = read_file(edit.file).count(edit.old)
        assert found == 1, f"{mutant.guard}: {edit.old!r} stands {found} times in {edit.file}.lua"


@contextmanager
def mutated(mutant: Mutant) -> Iterator[None]:
    """The transitions run the mutant's scripts meanwhile."""
    check_found(mutant)
    sound = [(script, script.text, script.digest) for script in scripts()]
    try:
        for script in scripts():
            script.text = assemble(script.name, edited(mutant.edits))
            script.digest = hashlib.sha1(script.text.encode(), usedforsecurity=False).hexdigest()
        yield
    finally:
        for script, text, digest in sound:
            script.text, script.digest = text, digest


def without(guard: str, file: str, old: str, new: str = "") -> Mutant:
    """A mutant of one edit."""
    return Mutant(guard, (Edit(file, old, new),))
