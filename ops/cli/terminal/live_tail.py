"""A conversation on a terminal, in colours. Unfinished replies grow below it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from common.events import Ending, Event, ReplyDelta, TurnKey
from common.results.reply_so_far import extend_reply
from ops.cli.terminal.conversation import LABELS, Conversation, Line
from ops.cli.terminal.drawing import restored_terminal

REDRAW_HZ: Final = 10
REPLIES_SHOWN: Final = 8
"""How many unfinished replies are shown. Nobody can read more."""

REPLY_LINES: Final = 4
"""How many lines of an unfinished reply are shown: the end of a long one."""

STYLES: Final = {"user": "bold cyan", "ai": "bold magenta", "note": "dim", "error": "red"}
SESSION_COLOURS: Final = (
    "green",
    "yellow",
    "blue",
    "bright_cyan",
    "bright_magenta",
    "bright_green",
)


def add_colours(line: Line) -> Text:
    """Return the line in colours."""
    text = Text()
    if line.session:
        # a session has the same colour in every process
        colour = SESSION_COLOURS[sum(line.session.encode()) % len(SESSION_COLOURS)]
        text.append(f"[{line.session}] ", style=colour)
    text.append(LABELS[line.kind], style=STYLES[line.kind])
    text.append(line.text, style=STYLES[line.kind] if line.kind in {"note", "error"} else "")
    if line.note:
        text.append(f"   [{line.note}]", style="dim")
    return text


class LiveTail:
    """Prints events on a terminal."""

    def __init__(self, console: Console, conversation: Conversation) -> None:
        self._console = console
        self._conversation = conversation
        self._replies: dict[TurnKey, ReplyDelta] = {}

    @contextmanager
    def show(self) -> Iterator[None]:
        """Show unfinished replies until the context ends."""
        live = Live(
            console=self._console,
            refresh_per_second=REDRAW_HZ,
            transient=True,
            # log lines appear above, if they go to the same terminal
            redirect_stderr=Console(stderr=True).is_terminal,
            redirect_stdout=False,
            get_renderable=self.render_replies,
        )
        with restored_terminal(self._console.file, live):
            yield

    def add(self, event: Event) -> None:
        """Show an event."""
        turn = event.key
        if isinstance(event, ReplyDelta):
            self._replies[turn] = extend_reply(self._replies.get(turn), event)
            return
        if isinstance(event, Ending):
            self._replies.pop(turn, None)
        for line in self._conversation.make_lines(event):
            self._console.print(add_colours(line), soft_wrap=True)

    def render_replies(self) -> Group:
        """Render the unfinished replies, the newest last."""
        shown = []
        for reply in list(self._replies.values())[-REPLIES_SHOWN:]:
            text = reply.data.text[-self._room :]
            line = add_colours(self._conversation.make_line_so_far(reply, text))
            line.append("▍", style=STYLES["ai"])
            shown.append(line)
        return Group(*shown)

    @property
    def _room(self) -> int:
        """How many characters of an unfinished reply are shown."""
        return REPLY_LINES * max(20, self._console.width - 40)
