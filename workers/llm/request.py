"""One question to the LLM server, put in another shape when the server wants that."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

import structlog

from common.settings import LlmSettings
from workers.llm.errors import ContextTooLong, SystemRoleRefused, WindowFull
from workers.llm.prompt import Prompt
from workers.llm.server import Finished, LlmServer
from workers.llm.window import Window

log = structlog.get_logger(__name__)


class Asking:
    """A request for a reply. When `pieces` has come to its end, `finished` says how."""

    def __init__(
        self, server: LlmServer, window: Window, persona: LlmSettings, prompt: Prompt
    ) -> None:
        self.finished: Finished | None = None
        self._server = server
        self._window = window
        self._persona = persona
        self._prompt = prompt
        self._max_tokens = persona.clamp_tokens(len(prompt.question.split()))
        self._shrunk = False

    async def pieces(self) -> AsyncGenerator[str, None]:
        """The reply's text as it comes; raises Transient and Permanent, WindowFull among them.

        Rounds that do not fit the model's window are left out beforehand. A model that takes no
        system role gets its system prompt in the first question, a prompt that is too long
        nevertheless loses its oldest rounds, and in the end all of them. Nothing is asked again
        once a piece has come: what was given out would be there twice.
        """
        begun = False
        self._prompt = await self._window.fitted(self._prompt, self._max_tokens)
        while self.finished is None:
            with_role = self._server.takes_system_role
            messages = self._prompt.messages(system_role=with_role)
            generating = self._server.generate(
                messages, self._max_tokens, self._persona.temperature
            )
            try:
                async with aclosing(generating) as parts:
                    async for part in parts:
                        if isinstance(part, Finished):
                            self._window.learn(self._prompt, len(messages), part.usage)
                            self.finished = part
                        else:
                            begun = True
                            yield part
            except SystemRoleRefused as refusal:
                if begun or not (with_role and self._prompt.system):
                    raise
                self._server.give_up_system_role(refusal)
            except ContextTooLong as refusal:
                self._server.learn_window(refusal.window)
                if begun:
                    raise WindowFull(
                        str(refusal), window=refusal.window, prompt_tokens=refusal.prompt_tokens
                    ) from None
                if not self._prompt.rounds:
                    raise
                self._prompt = await self._shorter(refusal)
                log.info("history_shortened", rounds=len(self._prompt.rounds), why=str(refusal))

    async def _shorter(self, refusal: ContextTooLong) -> Prompt:
        """With fewer rounds: planned anew, now that the window is known, or by the refusal."""
        fitted = await self._window.fitted(self._prompt, self._max_tokens)
        if fitted != self._prompt:
            return fitted
        if self._shrunk:
            return replace(self._prompt, rounds=())
        self._shrunk = True
        return self._prompt.shrunk(
            window=refusal.window,
            prompt_tokens=refusal.prompt_tokens,
            reserve=self._max_tokens,
        )
