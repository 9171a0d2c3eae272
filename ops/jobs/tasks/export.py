"""The job `export`: write the results of the last hours to a file."""

from collections.abc import Mapping
from contextlib import aclosing
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from common.errors import BadInput
from common.redis.link import Link
from common.redis.store import Store
from common.results.subscriber import Subscriber
from common.utterance import SessionId
from common.validation import explain
from ops.jobs.atomic_file import open_atomically
from ops.jobs.execution import JobContext
from ops.jobs.shared_folder import local_path
from ops.queries.event_formats import FORMATS

REPORT_EVERY: Final = 1_000


class Request(BaseModel):
    """Which results go into which file. `since` is the id of the entry after which to begin."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    output: Annotated[str, Field(min_length=1)]
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


async def run(context: JobContext, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Write the file; return its path and how many events it holds."""
    try:
        request = Request.model_validate(arguments)
    except ValidationError as error:
        raise BadInput(f"the job's {explain(error)}") from None
    output = local_path(request.output, context.settings.jobs)
    header, row = FORMATS[request.format]
    count = 0
    reading = read_kept_events(context.store, context.link, request.since, request.session)
    with open_atomically(output, context.job) as file:
        file.write(header)
        async with aclosing(reading.events()) as events:
            async for received in events:
                file.write(row(received.event))
                count += 1
                if count % REPORT_EVERY == 0:
                    context.report(text=f"{count} events")
    return {"output": str(output), "events": count}
