"""One question to the LLM server, put in another shape when the server wants that."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

import structlog

from common.settings import LlmSettings
from workers.llm_errors import ContextTooLong, SystemRoleRefused
from workers.llm_server import Finished, LlmServer
from workers.prompt import Prompt

log = structlog.get_logger(__name__)


class Asking:
    """A request for a reply. When `pieces` has come to its end, `finished` says how."""

    def __init__(self, server: LlmServer, settings: LlmSettings, prompt: Prompt) -> None:
        self.finished: Finished | None = None
        self._server = server
        self._prompt = prompt
        self._max_tokens = settings.clamp_tokens(len(prompt.question.split()))
        self._shrunk = False

    async def pieces(self) -> AsyncGenerator[str, None]:
        """The reply's text as it comes; raises Transient and Permanent.

        A model that takes no system role gets its system prompt in the first question, a prompt
        that is too long loses its oldest rounds: by the server's counts, which may be rough, and
        then all of them.
        """
        while self.finished is None:
            with_role = self._server.takes_system_role
            messages = self._prompt.messages(system_role=with_role)
            try:
                async with aclosing(self._server.generate(messages, self._max_tokens)) as parts:
                    async for part in parts:
                        if isinstance(part, Finished):
                            self.finished = part
                        else:
                            yield part
            except SystemRoleRefused as refusal:
                if not (with_role and self._prompt.system):
                    raise
                self._server.takes_system_role = False
                log.info("system_role_refused", why=str(refusal), cure="first user message")
            except ContextTooLong as refusal:
                if not self._prompt.rounds:
                    raise
                self._prompt = self._shorter(refusal)
                log.info("history_shortened", rounds=len(self._prompt.rounds), why=str(refusal))

    def _shorter(self, refusal: ContextTooLong) -> Prompt:
        if self._shrunk:
            return replace(self._prompt, rounds=())
        self._shrunk = True
        return self._prompt.shrunk(
            window=refusal.window,
            prompt_tokens=refusal.prompt_tokens,
            reserve=self._max_tokens,
        )
