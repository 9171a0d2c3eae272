"""Events as lines that a person reads: what `earshot tail` and `earshot demo` print."""

import re
from collections.abc import Iterator
from typing import Final

from common.events import Error, Event, Heard, Reply, ReplyDelta, Skipped, Timings, Transcript

CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Conversation:
    """Turns events into lines, and counts how turns end.

    With `sessions` the session stands before each line; with `timings` milliseconds since the
    end of speech stand behind it.
    """

    def __init__(self, *, sessions: bool = False, timings: bool = True) -> None:
        self._sessions = sessions
        self._timings = timings

    def lines(self, event: Event) -> Iterator[str]:
        """The lines for one event; none for what only programs need."""
        match event:
            case Transcript(data=data):
                yield self._line(event, "User: ", data.text, _transcribed(data.timings))
            case Reply(data=data):
                notes = [_replied(data.timings)]
                if data.interrupted:
                    notes.append("interrupted")
                elif data.finish_reason == "length":
                    notes.append("cut at max_tokens")
                yield self._line(
                    event,
                    "AI  : ",
                    data.text if data.text.strip() else "(empty)",
                    ", ".join(note for note in notes if note),
                )
            case Skipped(data=data):
                if data.reason == "merged":
                    yield self._line(
                        event,
                        "      ",
                        f"(turn {event.turn} is answered with turn {data.into})",
                        "",
                    )
                elif data.reason != "transcript_only":
                    yield self._line(event, "      ", f"(skipped: {data.reason})", "")
            case Error(data=data):
                yield self._line(event, "      ", f"(error in {data.stage}: {data.error})", "")
            case Heard() | ReplyDelta():
                return

    def _line(self, event: Event, label: str, text: str, note: str) -> str:
        session = f"[{one_line(event.session)}] " if self._sessions else ""
        shown = f"   [{note}]" if note and self._timings else ""
        return f"{session}{label}{one_line(text)}{shown}"


def one_line(text: str) -> str:
    """Without what a terminal would obey: it may come from anybody's model or client."""
    return " ".join(CONTROL.sub(" ", text).split())


def _transcribed(timings: Timings) -> str:
    # what was transcribed early is shown when the silence has confirmed it
    known = [time for time in (timings.transcribed, timings.committed) if time is not None]
    shown = max(known) if timings.transcribed is not None else None
    return "" if shown is None else f"transcript {shown:.0f} ms"


def _replied(timings: Timings) -> str:
    parts = []
    if timings.first_token is not None:
        parts.append(f"first token {timings.first_token:.0f} ms")
    if timings.done is not None:
        parts.append(f"done {timings.done:.0f} ms")
    return ", ".join(parts)
