"""The list of models at `/models`, in the shapes in which servers give it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

WINDOW_FIELDS: Final = ("max_model_len", "context_window", "context_length")
"""Where the window stands: vLLM and SGLang; Groq; OpenRouter and Together."""

NAME_FIELDS: Final = ("id", "model", "name")


@dataclass(frozen=True, slots=True)
class ModelList:
    """The names of the served models, and the windows in tokens of those that tell theirs."""

    names: tuple[str, ...]
    windows: Mapping[str, int]


def read_model_list(text: str) -> ModelList | None:
    """Return the list in the body of an answer; None if there is none."""
    try:
        value = json.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        return None
    models = _models_in(value)
    if models is None:
        return None
    windows: dict[str, int] = {}
    names: dict[str, None] = {}
    for model in models:
        name = _name_of(model)
        if name:
            names[name] = None
            if tokens := _window_of(model):
                windows[name] = tokens
    return ModelList(tuple(names), windows)


def _models_in(value: Any) -> list[Any] | None:
    if isinstance(value, Mapping):
        for key in ("data", "models"):
            inner = value.get(key)
            if isinstance(inner, list):
                return inner
            if isinstance(inner, Mapping) and _name_of(inner):
                return [inner]
        return None
    return value if isinstance(value, list) else None


def _name_of(model: Any) -> str:
    if isinstance(model, str):
        return model
    if not isinstance(model, Mapping):
        return ""
    found = (model.get(field) for field in NAME_FIELDS)
    return next((name for name in found if isinstance(name, str) and name), "")


def _window_of(model: Any) -> int | None:
    if not isinstance(model, Mapping):
        return None
    for field in WINDOW_FIELDS:
        tokens = model.get(field)
        if isinstance(tokens, str) and tokens.isdecimal() and len(tokens) < 10:
            tokens = int(tokens)
        if isinstance(tokens, int) and not isinstance(tokens, bool) and tokens > 0:
            return tokens
    return None
