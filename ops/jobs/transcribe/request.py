"""The request of `earshot transcribe`, and its files on the host of the job."""

import re
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from common.errors import BadInput
from common.settings import JobSettings, Settings
from common.utterance import LANGUAGE, SessionId
from common.validation import explain
from ops.jobs.atomic_file import check_writable
from ops.jobs.shared_folder import local_path, shared_name
from ops.jobs.transcribe.transcriber import Run

FormatName = Literal["txt", "srt", "vtt", "json"]
NAME_MAX: Final = 40


class Request(BaseModel):
    """One recording to transcribe. `size` (bytes) shows whether the job finds the same file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: Annotated[str, Field(min_length=1)]
    size: int
    output: Annotated[str, Field(min_length=1)]
    format: FormatName
    preset: Literal["command", "conversation", "dictation"]
    language: Annotated[str, Field(max_length=16, pattern=LANGUAGE)] = ""
    run: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    session: SessionId
    since: Annotated[str, Field(pattern=r"^[0-9]{1,16}-0$")]

    @classmethod
    def read(cls, arguments: Any) -> Self:
        """Read the arguments of a job. Raises BadInput if earshot has not made them."""
        try:
            return cls.model_validate(arguments)
        except ValidationError as error:
            raise BadInput(f"the job's {explain(error)}") from None

    def as_run(self) -> Run:
        return Run(self.run, self.session, self.since)


@dataclass(frozen=True, slots=True)
class Paths:
    """The paths of a request's files on this host."""

    file: Path
    output: Path


def make_request(
    file: Path,
    output: Path,
    kind: FormatName,
    settings: Settings,
    since_ms: int,
) -> Request:
    """Make a request with a new run and session. Raises BadInput if the file cannot be read."""
    try:
        size = file.stat().st_size
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {error.strerror}; check its name") from None
    run = uuid.uuid4().hex[:16]
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", file.stem).strip("-")[:NAME_MAX] or "recording"
    return Request(
        file=shared_name(file, settings.jobs),
        size=size,
        output=shared_name(output, settings.jobs),
        format=kind,
        preset=settings.listen.preset,
        language=settings.listen.language,
        run=run,
        session=f"{name}.{run[:8]}",
        since=f"{since_ms}-0",
    )


def locate_files(request: Request, settings: JobSettings) -> Paths:
    """Return the paths of a request's files on this host.

    Raises BadInput if the recording is not on this host or is another file, or if the transcript
    cannot be written.
    """
    file, output = local_path(request.file, settings), local_path(request.output, settings)
    try:
        size = file.stat().st_size
    except OSError as error:
        raise BadInput(
            f"{file} cannot be read where `earshot jobs` runs ({error.strerror}): put it where both"
            " hosts see it (EARSHOT_JOBS__FOLDER), or transcribe it with --here"
        ) from None
    if size != request.size:
        raise BadInput(
            f"{file} has {size} bytes where `earshot jobs` runs and {request.size} where it was"
            " asked for: it is another file, or was still being written"
        )
    check_writable(output)
    return Paths(file, output)
