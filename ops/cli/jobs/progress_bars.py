"""The progress of jobs: bars on a terminal, and elsewhere a line for each change."""

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from common.closeable import Closeable
from common.errors import to_printable
from ops.cli.jobs.job_state import explain_held_up
from ops.cli.terminal.conversation import to_one_line
from ops.cli.terminal.drawing import restored_terminal


class ProgressBars(Closeable):
    """Shows the progress of jobs on stderr, as a context manager."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = {key: to_printable(name) for key, name in names.items()}
        self._console = Console(stderr=True, soft_wrap=True)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[state]}", markup=False),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._tasks = {
            key: self._progress.add_task(to_one_line(name), total=None, state="")
            for key, name in self._names.items()
        }
        self._closing = ExitStack()
        self._printed: dict[str, str] = {}
        self._held_up: set[str] = set()

    def show(self, key: str, state: str, progress: Mapping[str, Any]) -> None:
        """Show the state of a job, with the `progress` that the job has reported."""
        held_up = "" if progress.get("waits_for") else to_one_line(explain_held_up(progress))
        text = held_up or to_one_line(
            str(progress.get("waits_for") or progress.get("text") or state)
        )
        total_s, done_s = progress.get("duration_s") or None, progress.get("done_s", 0.0)
        segments = (
            f"{progress['done']}/{progress['segments']} segments, "
            if "segments" in progress
            else ""
        )
        self._progress.update(
            self._tasks[key], total=total_s, completed=done_s, state=f"{segments}{text}"
        )
        if not self._console.is_terminal:
            self._print_change(key, text, is_held_up=bool(held_up))

    def _print_change(self, key: str, text: str, *, is_held_up: bool) -> None:
        if is_held_up:  # a long recording waits again and again, so it is printed only once
            is_new = key not in self._held_up
            self._held_up.add(key)
        else:
            is_new = self._printed.get(key) != text
            self._printed[key] = text
        if is_new:
            self._console.print(Text(f"{self._names[key]}: {text}"))

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            display = restored_terminal(self._console.file, self._progress)
            self._closing.enter_context(display)
        return self

    def close(self) -> None:
        self._closing.close()
