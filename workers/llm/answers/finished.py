"""How a reply ended."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finished:
    """How a reply ended: `model` as the server names it, `usage` in tokens if it counted them.

    `reasoning` are the model's thoughts, if they are kept; `thought`: there were some. `tools` are
    the names of tools that the model called, `calls_tool` whether it did.
    """

    finish_reason: str
    model: str
    usage: Mapping[str, int] | None = None
    reasoning: str = ""
    thought: bool = False
    calls_tool: bool = False
    tools: tuple[str, ...] = ()
