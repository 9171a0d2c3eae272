"""Requests for replies: fitted to the model's window, and changed where the server refuses them.

Most conversations fit by far, and nothing is counted for them: a text has at most as many tokens
as bytes. A request that was fitted wrongly is refused by the server, and shortened then.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import structlog

from common.errors import Misconfigured
from common.transitions.answering import Message
from workers.llm.errors import ContextTooLong, ReplyTooLong, SystemRoleRefused, WindowFull
from workers.llm.persona import Persona
from workers.llm.prompt import Prompt
from workers.llm.reply import Finished
from workers.llm.server import LlmServer
from workers.llm.tokens import TokenCounts

LEAST_REPLY: Final = 16
"""A reply for which the window has no more tokens than these is not asked for."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Request:
    """One try: a prompt in the shape in which it is sent.

    `was_shrunk`: an earlier try was refused, and shortened by the counts in that refusal.
    """

    prompt: Prompt
    max_tokens: int
    temperature: float
    system_role: bool
    was_shrunk: bool = False

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
            return replace(self, prompt=replace(self.prompt, rounds=()))
        shrunk = self.prompt.shrink(
            window=refusal.window, prompt_tokens=refusal.prompt_tokens, reserve=self.max_tokens
        )
        return replace(self, prompt=shrunk, was_shrunk=True)


class Requests:
    """Makes the requests of all sessions to one server."""

    def __init__(self, server: LlmServer) -> None:
        self._server = server
        self._model = ""
        self._counts = self._new_counts("")

    async def ask(self, prompt: Prompt, persona: Persona) -> AsyncGenerator[str | Finished, None]:
        """Yield the reply's text as it comes, then how it ended.

        Leaves out the rounds that do not fit the model's window. Asks again when the server
        refuses: without the system role, with fewer rounds, or for a shorter reply. Never asks
        again once a piece has come: the caller would get that text twice. Raises Transient and
        Permanent, WindowFull among them.
        """
        max_tokens = persona.max_tokens_for(len(prompt.question.split()))
        if self._server.reply_limit is not None:
            max_tokens = min(max_tokens, self._server.reply_limit)
        request = Request(
            await self.fit(prompt, max_tokens),
            max_tokens,
            persona.temperature,
            self._server.takes_system_role,
        )
        while True:
            begun = False
            try:
                async with aclosing(self._send(request)) as parts:
                    async for part in parts:
                        begun = True
                        yield part
            except SystemRoleRefused as refusal:
                if begun:
                    raise
                request = self._without_system_role(request, refusal)
            except ReplyTooLong as refusal:
                if begun:
                    raise
                request = self._for_shorter_reply(request, refusal)
            except ContextTooLong as refusal:
                self._server.learn_window(refusal.window)
                if begun:
                    raise WindowFull(
                        str(refusal), window=refusal.window, prompt_tokens=refusal.prompt_tokens
                    ) from None
                request = await self._shorter(request, refusal)
            else:
                return

    async def check_system_prompt(self, persona: Persona) -> None:
        """Ask for the smallest reply of a persona; raises Misconfigured if its prompt is too long.

        Raises Transient and Permanent as `ask` does.
        """
        prompt = Prompt(persona.system_prompt, (), "hello")
        request = Request(
            prompt, 1, persona.temperature, system_role=self._server.takes_system_role
        )
        try:
            async with aclosing(self._send(request)) as parts:
                async for _ in parts:
                    pass
        except ContextTooLong as refusal:
            raise Misconfigured(
                f"the system prompt of the persona {persona.name} does not fit the model's window"
                f" ({refusal}): shorten it, or serve the model with a larger window"
            ) from None

    async def fit(self, prompt: Prompt, reserve: int) -> Prompt:
        """Return the prompt with as many rounds as leave `reserve` tokens to the reply."""
        window = self._server.window
        if window is None or not prompt.rounds:
            return prompt
        if self._server.model != self._model:
            self._model = self._server.model
            self._counts = self._new_counts(self._model)
        budget = window - reserve
        base, per_message = self._counts.overhead
        by_bytes = prompt.fit(
            budget, lambda text: len(text.encode()), base=base, per_message=per_message
        )
        if by_bytes == prompt:
            return prompt
        await self._counts.learn(prompt.texts())
        fitted = prompt.fit(budget, self._counts.size, base=base, per_message=per_message)
        if len(fitted.rounds) < len(prompt.rounds):
            log.debug("older_rounds_left_out", window=window, rounds=len(fitted.rounds))
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
        self._server.give_up_system_role(refusal)
        return replace(request, system_role=False)

    def _for_shorter_reply(self, request: Request, refusal: ReplyTooLong) -> Request:
        """Return the request for a reply that the server gives; raises the refusal if none.

        The limit is the largest number in the server's words that is below what was asked for.
        """
        lower = [number for number in refusal.numbers if LEAST_REPLY <= number < request.max_tokens]
        shorter = request.with_shorter_reply(max(lower, default=None))
        if shorter is None:
            raise refusal
        self._server.learn_reply_limit(shorter.max_tokens)
        return shorter

    async def _shorter(self, request: Request, refusal: ContextTooLong) -> Request:
        """Return the request with fewer rounds, or for a shorter reply if it has none.

        The rounds are fitted again, since the window may be known only now, or cut by the refusal.
        Raises the refusal if the question leaves no room for a reply.
        """
        if not request.prompt.rounds:
            counts = refusal.window, refusal.prompt_tokens
            limit = counts[0] - counts[1] if counts[0] and counts[1] else None
            shorter = request.with_shorter_reply(limit)
            if shorter is None:
                raise refusal
            log.info("reply_shortened", max_tokens=shorter.max_tokens, why=str(refusal))
            return shorter
        fitted = await self.fit(request.prompt, request.max_tokens)
        if fitted != request.prompt:
            shorter = replace(request, prompt=fitted)
        else:
            shorter = request.shorten(refusal)
        log.info("history_shortened", rounds=len(shorter.prompt.rounds), why=str(refusal))
        return replace(shorter, system_role=self._server.takes_system_role)

    def _new_counts(self, model: str) -> TokenCounts:
        return TokenCounts(partial(self._server.tokenizer.count, model))
