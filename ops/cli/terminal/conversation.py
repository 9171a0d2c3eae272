"""Events as lines for people: what `earshot tail` and `earshot demo` print."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from common.errors import to_printable
from common.events import Error, Event, Heard, Reply, ReplyDelta, Skipped, Timings, Transcript
from ops.cli.terminal.direction import remove_direction_changes

LABELS: Final = {"user": "User: ", "ai": "AI  : ", "note": "      ", "error": "      "}

CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a conversation. Its `kind` decides its colour."""

    kind: Literal["user", "ai", "note", "error"]
    text: str
    note: str = ""
    session: str = ""

    def __str__(self) -> str:
        session = f"[{self.session}] " if self.session else ""
        return f"{session}{LABELS[self.kind]}{self.text}{f'   [{self.note}]' if self.note else ''}"


class Conversation:
    """Makes lines of events.

    A line ends with milliseconds since the end of speech. With `sessions` it begins with the
    session.
    """

    def __init__(self, *, sessions: bool = False) -> None:
        self._sessions = sessions

    def format(self, event: Event) -> Iterator[str]:
        """Format an event as lines of text. Some events have none, as only programs need them."""
        return map(str, self.make_lines(event))

    def make_lines(self, event: Event) -> Iterator[Line]:
        """Yield the lines of an event, for output in colours."""
        match event:
            case Transcript(data=data):
                yield self._line(event, "user", data.text, _describe_transcript_time(data.timings))
            case Reply(data=data):
                notes = [_describe_reply_times(data.timings)]
                if data.interrupted:
                    notes.append("interrupted")
                elif data.finish_reason == "length":
                    notes.append("cut at max_tokens")
                yield self._line(
                    event,
                    "ai",
                    data.text if data.text.strip() else "(empty)",
                    ", ".join(note for note in notes if note),
                )
            case Skipped(data=data):
                if data.reason == "merged":
                    yield self._line(
                        event, "note", f"(turn {event.turn} is answered with turn {data.into})"
                    )
                elif data.reason != "transcript_only":
                    yield self._line(event, "note", f"(skipped: {data.reason})")
            case Error(data=data):
                yield self._line(event, "error", f"(error in {data.stage}: {data.error})")
            case Heard() | ReplyDelta():
                return

    def make_line_so_far(self, event: ReplyDelta, text: str) -> Line:
        """Return the line of an unfinished reply with `text` so far."""
        return self._line(event, "ai", text)

    def _line(
        self, event: Event, kind: Literal["user", "ai", "note", "error"], text: str, note: str = ""
    ) -> Line:
        return Line(
            kind,
            to_one_line(text),
            note,
            to_one_line(event.session) if self._sessions else "",
        )


def to_one_line(text: str) -> str:
    """Replace control characters and line ends: the text may come from any model or client.

    Characters that change the direction of text are left out. What no terminal can show, in a
    file's name or as half of a surrogate pair, is shown as `to_printable` says.
    """
    text = remove_direction_changes(CONTROL.sub(" ", to_printable(text)))
    return " ".join(text.split())


def _describe_transcript_time(timings: Timings) -> str:
    # an early transcript appears only when the utterance has ended
    known = [time for time in (timings.transcribed, timings.committed) if time is not None]
    shown = max(known) if timings.transcribed is not None else None
    return "" if shown is None else f"transcript {shown:.0f} ms"


def _describe_reply_times(timings: Timings) -> str:
    parts = []
    if timings.first_token is not None:
        parts.append(f"first token {timings.first_token:.0f} ms")
    if timings.done is not None:
        parts.append(f"done {timings.done:.0f} ms")
    return ", ".join(parts)
