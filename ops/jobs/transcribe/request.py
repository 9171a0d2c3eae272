"""The request of `earshot transcribe`, and its files on the host of the job."""

import re
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from common.errors import BadInput
from common.languages.codes import Language
from common.settings import Settings
from common.utterance import SessionId
from common.validation import explain
from ops.jobs.files.atomic_file import check_writable
from ops.jobs.files.file_name import FileName
from ops.jobs.files.job_folder import JobFolder
from ops.jobs.transcribe.transcriber import Run

FormatName = Literal["txt", "srt", "vtt", "json"]
Channels = Literal["mix", "separate"]
NAME_MAX: Final = 40


class Request(BaseModel):
    """One recording to transcribe. `size` (bytes) shows whether the job finds the same file."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    file: FileName
    size: int
    output: FileName
    format: FormatName
    preset: Literal["command", "conversation", "dictation"]
    channels: Channels = "mix"
    language: Language = ""
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
    paths: Paths,
    kind: FormatName,
    settings: Settings,
    since_ms: int,
    channels: Channels = "mix",
) -> Request:
    """Make a request with a new run and session. Raises BadInput if the file cannot be read.

    A file that no job may read or write is named by its whole path; see `is_for_job`.
    """
    file, folder = paths.file, JobFolder(settings.jobs)
    try:
        size = file.stat().st_size
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {error.strerror}; check its name") from None
    run = uuid.uuid4().hex[:16]
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", file.stem).strip("-")[:NAME_MAX] or "recording"
    return Request(
        file=folder.name_of(file) or str(file.absolute()),
        size=size,
        output=folder.name_of_output(paths.output, suffixes_of(kind))
        or str(paths.output.absolute()),
        format=kind,
        channels=channels,
        preset=settings.listen.preset,
        language=settings.listen.language,
        run=run,
        session=f"{name}.{run[:8]}",
        since=f"{since_ms}-0",
    )


def is_for_job(request: Request) -> bool:
    """Tell whether a job may read and write the files of a request that was made here."""
    return not (Path(request.file).is_absolute() or Path(request.output).is_absolute())


def suffixes_of(kind: FormatName) -> tuple[str, ...]:
    """Return how the name of a transcript must end if a job writes it."""
    return (f".{kind}",)


def locate_files(request: Request, folder: JobFolder) -> Paths:
    """Return the paths of a request's files in the folder of the jobs.

    Raises BadInput if a job may not read or write them, if the recording is not on this host or is
    another file, or if the transcript cannot be written.
    """
    file = folder.locate_input(request.file)
    output = folder.locate_output(request.output, suffixes_of(request.format))
    size = file.stat().st_size
    if size != request.size:
        raise BadInput(
            f"{file} has {size} bytes where `earshot jobs` runs and {request.size} where it was"
            " asked for: it is another file, or was still being written"
        )
    check_writable(output)
    return Paths(file, output)
