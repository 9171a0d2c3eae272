"""The scripts with a guard removed, each: what the model test must notice.

A guard that another one backs up is removed together with it, because either alone suffices.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from types import ModuleType
from typing import Final

from common.redis.script import INCLUDE, Script
from common.transitions import (
    answering,
    claims,
    dead_letters,
    publishing,
    tending,
    transcribing,
)

MODULES: Final[tuple[ModuleType, ...]] = (
    answering,
    claims,
    dead_letters,
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


def file_text(name: str) -> str:
    return (resources.files("common") / "lua" / f"{name}.lua").read_text(encoding="utf-8")


def assemble(name: str, edits: Sequence[Edit]) -> str:
    """As `common.redis.script.source`, with some texts replaced in the files they are meant for."""
    parts = []
    for file in [*INCLUDE.findall(file_text(name)), name]:
        text = file_text(file)
        for edit in edits:
            if edit.file == file:
                text = text.replace(edit.old, edit.new)
        parts.append(text)
    return "\n".join(parts)


def check_found(mutant: Mutant) -> None:
    """Raises AssertionError if an edit's text is no longer in its file, or more than once."""
    for edit in mutant.edits:
        found = file_text(edit.file).count(edit.old)
        assert found == 1, f"{mutant.guard}: {edit.old!r} stands {found} times in {edit.file}.lua"


@contextmanager
def mutated(mutant: Mutant) -> Iterator[None]:
    """The transitions run the mutant's scripts meanwhile."""
    check_found(mutant)
    sound = [(script, script.text, script.digest) for script in scripts()]
    try:
        for script in scripts():
            script.text = assemble(script.name, mutant.edits)
            script.digest = hashlib.sha1(script.text.encode(), usedforsecurity=False).hexdigest()
        yield
    finally:
        for script, text, digest in sound:
            script.text, script.digest = text, digest


def without(guard: str, file: str, old: str, new: str = "") -> Mutant:
    """A mutant of one edit."""
    return Mutant(guard, (Edit(file, old, new),))
