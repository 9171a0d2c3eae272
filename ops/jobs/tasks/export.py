"""The job `export`: write the results of the last hours to a file."""

from collections.abc import Callable, Mapping
from contextlib import aclosing
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from common.errors import BadInput
from common.redis.link import Link
from common.redis.store import Store
from common.results.subscriber import Subscriber
from common.utterance import SessionId
from common.validation import explain
from ops.jobs.execution import JobContext
from ops.jobs.files.atomic_file import check_writable, open_atomically
from ops.jobs.files.file_name import FileName
from ops.jobs.files.job_folder import JobFolder
from ops.queries.event_formats import FORMATS

REPORT_EVERY: Final = 1_000


class Request(BaseModel):
    """Which results go into which file. `since` is the id of the entry after which to begin."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    output: FileName
    format: Literal["jsonl", "csv"]
    since: Annotated[str, Field(pattern=r"^[0-9]{1,16}-0$")]
    session: SessionId | Literal[""] = ""


def read_kept_events(
    store: Store, link: Link, since: str, session: str, *, patient: bool = True
) -> Subscriber:
    """Subscribe to the results up to now; `patient` as in Subscriber."""
    return Subscriber(
        store,
        link,
        since=since,
        deltas=False,
        session=session or None,
        follow=False,
        patient=patient,
    )


async def write_events(
    reading: Subscriber,
    kind: str,
    write: Callable[[str], Any],
    report: Callable[[int], None] = lambda count: None,
) -> int:
    """Write the header and each event; return the number of events, and report it meanwhile."""
    header, row = FORMATS[kind]
    write(header)
    count = 0
    async with aclosing(reading.events()) as events:
        async for received in events:
            write(row(received.event))
            count += 1
            if count % REPORT_EVERY == 0:
                report(count)
    return count


def suffixes_of(kind: str) -> tuple[str, ...]:
    """Return how the name of an export must end if a job writes it."""
    return (f".{kind}",)


async def run(context: JobContext, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Write the file; return its path and how many events it holds."""
    try:
        request = Request.model_validate(arguments)
    except ValidationError as error:
        raise BadInput(f"the job's {explain(error)}") from None
    folder = JobFolder(context.settings.jobs)
    output = folder.locate_output(request.output, suffixes_of(request.format))
    check_writable(output)
    reading = read_kept_events(context.store, context.link, request.since, request.session)
    with open_atomically(output, context.job, folder) as file:
        count = await write_events(
            reading,
            request.format,
            file.write,
            lambda count: context.report(text=f"{count} events"),
        )
    return {"output": str(output), "events": count}
