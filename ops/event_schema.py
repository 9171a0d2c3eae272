"""The JSON Schema of the events, generated into `docs/` by `python -m ops.event_schema`."""

import json
from pathlib import Path
from typing import Any, Final

from common.events import EVENTS

PATH: Final = Path(__file__).parents[1] / "docs" / "events.schema.json"


def schema() -> dict[str, Any]:
    """What `earshot tail --json` prints on each line; unknown fields are to be ignored."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "earshot event",
        "description": "One line of `earshot tail --json`. In a stream entry the same fields are"
        " texts, and `data` is a text that holds the JSON. Readers ignore fields that they do not"
        " know.",
        **EVENTS.json_schema(),
    }


def rendered() -> str:
    """The file's text."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PATH.write_text(rendered(), encoding="utf-8")
