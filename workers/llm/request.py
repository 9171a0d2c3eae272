"""Requests for replies: fitted to the model's window, and changed where the server refuses them.

Most conversations fit by far, and nothing is counted for them: a text has at most as many tokens
as bytes. A request that was fitted wrongly is refused by the server, and shortened then. A reply
without a word is asked for once more.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import structlog

from common.errors import Misconfigured, Permanent
from common.transitions.answering import Message
from workers.llm.answers.finished import Finished
from workers.llm.meanings.errors import (
    ContextTooLong,
    ReplyTooLong,
    ReplyTooShort,
    SystemRoleRefused,
    WindowFull,
)
from workers.llm.persona import Persona
from workers.llm.prompt import Prompt
from workers.llm.server.knowledge import REASONING_ROOM
from workers.llm.server.llm_server import LlmServer
from workers.llm.server.tokens import TokenCounts
from workers.llm.silence import explain_silence
from workers.llm.words import count_words

LEAST_REPLY: Final = 16
"""A reply for which the window has no more tokens than these is not asked for."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Request:
    """One try: a prompt in the shape in which it is sent.

    `was_shrunk`: an earlier try was refused, and shortened by the counts in that refusal.
    `was_silent`: the reply to an earlier try had no word. `has_room`: the reply may have more
    tokens, for reasoning.
    """

    prompt: Prompt
    max_tokens: int
    temperature: float
    system_role: bool
    was_shrunk: bool = False
    was_silent: bool = False
    has_room: bool = False

    @property
    def messages(self) -> list[Message]:
        """The chat messages."""
        return self.prompt.messages(system_role=self.system_role)

    @property
    def has_system_message(self) -> bool:
        """Whether one of the messages has the system role."""
        return self.system_role and bool(self.prompt.system)

    def with_shorter_reply(self, limit: int | None) -> "Request | None":
        """Return the request for a reply of at most `limit` tokens, or of half the length.

        None if it would be shorter than LEAST_REPLY.
        """
        tokens = self.max_tokens // 2 if limit is None else min(limit, self.max_tokens - 1)
        return replace(self, max_tokens=tokens) if tokens >= LEAST_REPLY else None

    def shorten(self, refusal: ContextTooLong) -> "Request":
        """Return the request with fewer rounds, for a server that found it too long.

        The first time by the counts in the refusal; without any round the second time.
        """
        if self.was_shrunk:
            return self.without_rounds()
        limit = refusal.numbers.limit(self.max_tokens)
        shrunk = self.prompt.shrink(
            window=None if limit is None else limit + self.max_tokens,
            prompt_tokens=refusal.numbers.prompt,
            reserve=self.max_tokens,
        )
        return replace(self, prompt=shrunk, was_shrunk=True)

    def without_rounds(self) -> "Request":
        """Return the request without any history."""
        return replace(self, prompt=replace(self.prompt, rounds=()))

    def with_room(self, max_tokens: int) -> "Request":
        """Return the request for a reply that has room for reasoning as well."""
        return replace(self, max_tokens=max_tokens, has_room=True)


class Requests:
    """Makes the requests of all sessions to one server."""

    def __init__(self, server: LlmServer) -> None:
        self._server = server
        self._model = ""
        self._counts = self._new_counts("")

    async def ask(self, prompt: Prompt, persona: Persona) -> AsyncGenerator[str | Finished, None]:
        """Yield the reply's text as it comes, then how it ended.

        Leaves out the rounds that do not fit the model's window. Asks again when the server
        refuses: without the system role, with fewer rounds, or for a reply of another length; and
        once when the reply has no word. Never asks again once a word has come: the caller would get
        that text twice. Raises StartAnew, Transient and Permanent, WindowFull among them.
        """
        request: Request | None = await self._first(prompt, persona)
        while request is not None:
            asked, request = request, None
            begun, blank = False, ""
            try:
                async with aclosing(self._send(asked)) as parts:
                    async for part in parts:
                        if isinstance(part, Finished):
                            request = None if begun else self._after_silence(asked, part)
                            if request is None:
                                yield part
                        elif begun or part.strip():
                            yield blank + part
                            begun, blank = True, ""
                        else:
                            blank += part
            except Permanent as refusal:
                request = await self._after_refusal(asked, refusal, begun=begun)

    async def _first(self, prompt: Prompt, persona: Persona) -> Request:
        known = self._server.knowledge.of(self._server.model)
        max_tokens = persona.max_tokens_for(count_words(prompt.question))
        max_tokens = self._with_room(max_tokens) if known.reasoning_room else max_tokens
        if known.reply_limit is not None:
            max_tokens = min(max_tokens, known.reply_limit)
        return Request(
            await self.fit(prompt, max_tokens),
            max_tokens,
            persona.temperature,
            self._server.knowledge.takes_system_role,
            has_room=known.reasoning_room > 0,
        )

    def _with_room(self, max_tokens: int) -> int:
        """Return how many tokens a reply may have that needs room for reasoning as well."""
        window = self._server.window
        longer = max_tokens + REASONING_ROOM
        # the prompt needs its half
        return longer if window is None else max(max_tokens, min(longer, window // 2))

    def _after_silence(self, request: Request, finished: Finished) -> Request | None:
        """Return what to ask after a reply without a word; None if that is the reply.

        Raises Permanent with the reason of the silence, if the second reply has no word either.
        """
        reason = finished.finish_reason
        log.warning("empty_reply", finish_reason=reason, asked_again=request.was_silent)
        is_spent = reason == "length"
        if is_spent and not request.has_room:
            self._server.knowledge.note_spent(self._server.model)
            longer = request.with_room(self._with_room(request.max_tokens))
            return replace(longer, was_silent=True)
        if not (request.was_silent or is_spent):
            # a full window may be the reason: some servers say nothing then (LM Studio)
            return replace(request.without_rounds(), was_silent=True)
        if (why := explain_silence(finished, request.max_tokens)) is not None:
            raise Permanent(why)
        return None

    async def _after_refusal(self, request: Request, refusal: Permanent, *, begun: bool) -> Request:
        """Return what to ask after a refusal; raises it where no other request can help."""
        if isinstance(refusal, ContextTooLong):
            model = self._server.model
            if not refusal.is_rate:
                self._server.knowledge.note_refusal(model, refusal.numbers, request.max_tokens)
            if begun:
                raise WindowFull(str(refusal), refusal.numbers) from None
            return await self._shorter(request, refusal)
        if begun:
            raise refusal
        match refusal:
            case SystemRoleRefused():
                return self._without_system_role(request, refusal)
            case ReplyTooLong():
                return self._for_shorter_reply(request, refusal)
            case ReplyTooShort() if not request.has_room:
                self._server.knowledge.note_spent(self._server.model)
                return request.with_room(self._with_room(request.max_tokens))
            case _:
                raise refusal

    async def check_system_prompt(self, persona: Persona) -> None:
        """Ask for the smallest reply of a persona; raises Misconfigured if its prompt is too long.

        Raises Transient and Permanent as `ask` does.
        """
        prompt = Prompt(persona.system_prompt, (), "hello")
        request = Request(
            prompt, 1, persona.temperature, system_role=self._server.knowledge.takes_system_role
        )
        try:
            async with aclosing(self._send(request)) as parts:
                async for _ in parts:
                    pass
        except ContextTooLong as refusal:
            if refusal.is_guess or refusal.is_rate:
                return  # a server that says nothing may mean anything, and a rate is no window
            raise Misconfigured(
                f"the system prompt of the persona {persona.name} does not fit the model's window"
                f" ({refusal}): shorten it, or serve the model with a larger window"
            ) from None

    async def fit(self, prompt: Prompt, reserve: int) -> Prompt:
        """Return the prompt with as many rounds as leave `reserve` tokens to the reply."""
        budget = self._server.knowledge.room_for_prompt(self._server.model, reserve)
        if budget is None or not prompt.rounds:
            return prompt
        if self._server.model != self._model:
            self._model = self._server.model
            self._counts = self._new_counts(self._model)
        base, per_message = self._counts.overhead
        by_bytes = prompt.fit(
            budget, lambda text: len(text.encode()), base=base, per_message=per_message
        )
        if by_bytes == prompt:
            return prompt
        await self._counts.learn(prompt.texts())
        fitted = prompt.fit(budget, self._counts.size, base=base, per_message=per_message)
        if len(fitted.rounds) < len(prompt.rounds):
            log.debug("older_rounds_left_out", budget=budget, rounds=len(fitted.rounds))
        return fitted

    def learn(self, prompt: Prompt, messages: int, usage: Mapping[str, int] | None) -> None:
        """Learn from the usage of a reply whose prompt was sent as so many messages."""
        if usage and usage["prompt_tokens"] > 0:
            self._counts.correct(prompt.texts(), messages, usage["prompt_tokens"])

    async def _send(self, request: Request) -> AsyncGenerator[str | Finished, None]:
        messages = request.messages
        generating = self._server.generate(messages, request.max_tokens, request.temperature)
        async with aclosing(generating) as parts:
            async for part in parts:
                if isinstance(part, Finished):
                    self.learn(request.prompt, len(messages), part.usage)
                yield part

    def _without_system_role(self, request: Request, refusal: SystemRoleRefused) -> Request:
        """Return the request without a system message; raises the refusal if it had none."""
        if not request.has_system_message:
            raise refusal
        self._server.knowledge.give_up_system_role(refusal)
        return replace(request, system_role=False)

    def _for_shorter_reply(self, request: Request, refusal: ReplyTooLong) -> Request:
        """Return the request for a reply that the server gives; raises the refusal if none.

        The limit is the largest number in the server's words that is below what was asked for.
        """
        lower = [number for number in refusal.numbers if LEAST_REPLY <= number < request.max_tokens]
        shorter = request.with_shorter_reply(max(lower, default=None))
        if shorter is None:
            raise refusal
        self._server.knowledge.note_reply_limit(self._server.model, shorter.max_tokens)
        return shorter

    async def _shorter(self, request: Request, refusal: ContextTooLong) -> Request:
        """Return the request with fewer rounds, or for a shorter reply if it has none.

        The rounds are fitted again, since the window may be known only now, or cut by the refusal.
        Raises the refusal if the question leaves no room for a reply.
        """
        if not request.prompt.rounds:
            shorter = None
            if refusal.may_concern_reply:
                shorter = request.with_shorter_reply(refusal.room_for_reply(request.max_tokens))
            if shorter is None:
                raise refusal
            log.info("reply_shortened", max_tokens=shorter.max_tokens, why=str(refusal))
            return shorter
        room = refusal.room_for_reply(request.max_tokens)
        if request.has_room and room is not None and LEAST_REPLY <= room < request.max_tokens:
            return replace(request, max_tokens=room)  # rather than less history
        fitted = await self.fit(request.prompt, request.max_tokens)
        if fitted != request.prompt:
            shorter = replace(request, prompt=fitted)
        else:
            shorter = request.shorten(refusal)
        log.info("history_shortened", rounds=len(shorter.prompt.rounds), why=str(refusal))
        return replace(shorter, system_role=self._server.knowledge.takes_system_role)

    def _new_counts(self, model: str) -> TokenCounts:
        return TokenCounts(partial(self._server.tokenizer.count, model))
