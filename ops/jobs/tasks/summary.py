"""The job `summary`: let the LLM server summarise a conversation."""

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from common.errors import BadInput
from common.events import Event, Reply, Transcript
from common.results.subscriber import Subscriber
from common.transitions.answering import Message
from common.utterance import SessionId
from common.validation import explain
from ops.jobs.execution import JobContext
from workers.llm.answers.finished import Finished
from workers.llm.meanings.errors import ContextTooLong, StartAnew
from workers.llm.reply import ReplyText
from workers.llm.server.knowledge import REASONING_ROOM
from workers.llm.server.llm_server import LlmServer

INSTRUCTION: Final = (
    "Summarise the following conversation between a user and a voice assistant in a few plain"
    " sentences: what was wanted, what came of it, and what is still open."
)


class Request(BaseModel):
    """Which conversation to summarise, up to which turn."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    session: SessionId
    epoch: int
    turn: int


def collect_lines(events: Sequence[Event], request: Request) -> list[str]:
    """Return the conversation as lines in order: each question, then its reply."""
    said: list[tuple[int, int, str]] = []
    for event in events:
        if event.epoch != request.epoch or event.turn > request.turn:
            continue
        if isinstance(event, Transcript):
            said.append((event.turn, 0, f"User: {event.data.text}"))
        elif isinstance(event, Reply) and event.data.text:
            said.append((event.turn, 1, f"Assistant: {event.data.text}"))
    return [text for _, _, text in sorted(said)]


def build_messages(lines: Sequence[str]) -> list[Message]:
    """Return the only message of the request, since some chat templates refuse the system role."""
    return [{"role": "user", "content": "\n".join([INSTRUCTION, "", *lines])}]


async def run(context: JobContext, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the summary of a conversation. Raises BadInput if its results have expired."""
    try:
        request = Request.model_validate(arguments)
    except ValidationError as error:
        raise BadInput(f"the job's {explain(error)}") from None
    subscriber = Subscriber(
        context.store,
        context.link,
        since="0-0",
        deltas=False,
        session=request.session,
        follow=False,
    )
    async with aclosing(subscriber.events()) as events:
        lines = collect_lines([received.event async for received in events], request)
    if not lines:
        raise BadInput(
            f"the results of session {request.session} have expired: results are kept for"
            f" {context.settings.limits.results_age_s / 3600:g} h"
        )
    text, model = await _summarise(context, lines)
    return request.model_dump() | {"text": text, "model": model}


async def _summarise(context: JobContext, lines: list[str]) -> tuple[str, str]:
    """Return the summary and the name of the model.

    If the conversation is too long for the model, its older half is left out, again and again. A
    model that used up all tokens for its reasoning gets more, once.
    """
    server = LlmServer(context.settings.llm)
    max_tokens = context.settings.jobs.summary_max_tokens
    has_room = False
    try:
        while True:
            reply = ReplyText(server.generate(build_messages(lines), max_tokens))
            try:
                text = "".join([piece async for piece in reply.pieces()]).strip()
            except StartAnew:
                continue
            except ContextTooLong:
                if len(lines) < 2:
                    raise
                lines = lines[len(lines) // 2 :]
                continue
            finished = reply.finished or Finished("", "")
            if not text and finished.finish_reason == "length" and not has_room:
                has_room = True
                max_tokens += REASONING_ROOM
                continue
            return text, finished.model
    finally:
        await server.close()
