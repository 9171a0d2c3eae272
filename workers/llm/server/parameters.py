"""The fields of requests: those that earshot sends, those of one's own, and those refused.

Servers differ in which fields they know. Which one a server refuses is found out by its refusal,
and remembered.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

import structlog

from common.errors import Misconfigured
from workers.llm.meanings.errors import ParameterRefused

LIMITS: Final = ("max_tokens", "max_completion_tokens")
"""The names of the limit of a reply. OpenAI's newer models take only the second."""

OPTIONAL: Final = ("stream_options", "temperature", "max_tokens", "max_completion_tokens", "stream")
"""What a request can do without; the first ones are missed the least."""

log = structlog.get_logger(__name__)


class Parameters:
    """The fields of the requests to one server. `extra_body`: a JSON object of one's own."""

    def __init__(self, extra_body: str = "") -> None:
        self._extra: dict[str, Any] = json.loads(extra_body) if extra_body else {}
        self._refused: set[str] = set()

    def fields(self, max_tokens: int, temperature: float) -> dict[str, Any]:
        """Return the fields of a request, without messages and model.

        Fields of one's own replace those of earshot; null leaves a field out.
        """
        streams = "stream" not in self._refused
        found: dict[str, Any] = {"stream": streams}
        if streams and "stream_options" not in self._refused:
            found["stream_options"] = {"include_usage": True}
        limit = next((name for name in LIMITS if name not in self._refused), None)
        if limit is not None:
            found[limit] = max_tokens
        if "temperature" not in self._refused:
            found["temperature"] = temperature
        if any(name in self._extra for name in LIMITS):
            found = {name: value for name, value in found.items() if name not in LIMITS}
        found |= self._extra
        return {name: value for name, value in found.items() if value is not None}

    @property
    def names(self) -> frozenset[str]:
        """The fields whose refusal is about earshot's or one's own choice."""
        return frozenset(OPTIONAL) | self._extra.keys()

    def give_up(self, refusal: ParameterRefused, sent: Mapping[str, Any]) -> bool:
        """Do without the field that was refused; return whether a request then differs from `sent`.

        Raises Misconfigured for a field of one's own.
        """
        name = refusal.name or next((one for one in OPTIONAL if one in sent), "")
        if name in self._extra and name in sent:
            raise Misconfigured(
                f"{refusal}: the field {name} is set in EARSHOT_LLM__EXTRA_BODY, take it out there"
            )
        if name not in sent or (name == "stream" and not sent[name]):
            # the server calls the limit by its other name
            name = next((one for one in LIMITS if name in LIMITS and one in sent), "")
        if not name:
            return False
        if name not in self._refused:
            self._refused.add(name)
            log.warning("field_left_out", field=name, why=str(refusal))
        return True
