"""What of a conversation fits the model's window: whole rounds, the newest.

Most conversations fit by far, and nothing is asked for them: a text has at most as many tokens as
bytes. What is planned wrongly nevertheless is refused by the server, and shortened then
(`workers/llm/request.py`).
"""

from collections.abc import Mapping
from functools import partial

import structlog

from workers.llm.prompt import Prompt
from workers.llm.server import LlmServer
from workers.llm.token_counts import TokenCounts

log = structlog.get_logger(__name__)


class Window:
    """Plans the prompts of all sessions for one server."""

    def __init__(self, server: LlmServer) -> None:
        self._server = server
        self._model = ""
        self._counts = self._counts_of("")

    async def fitted(self, prompt: Prompt, reserve: int) -> Prompt:
        """The prompt with as many rounds as leave `reserve` tokens to the reply."""
        window = self._server.window
        if window is None or not prompt.rounds:
            return prompt
        if self._server.model != self._model:
            self._model = self._server.model
            self._counts = self._counts_of(self._model)
        budget = window - reserve
        base, per_message = self._counts.overhead
        by_bytes = prompt.fitting(
            budget, lambda text: len(text.encode()), base=base, per_message=per_message
        )
        if by_bytes == prompt:
            return prompt
        await self._counts.learn(prompt.texts())
        fitted = prompt.fitting(budget, self._counts.size, base=base, per_message=per_message)
        if len(fitted.rounds) < len(prompt.rounds):
            log.debug("older_rounds_left_out", window=window, rounds=len(fitted.rounds))
        return fitted

    def learn(self, prompt: Prompt, messages: int, usage: Mapping[str, int] | None) -> None:
        """What a reply's usage tells about its prompt, which was sent as so many messages."""
        if usage and usage["prompt_tokens"] > 0:
            self._counts.correct(prompt.texts(), messages, usage["prompt_tokens"])

    def _counts_of(self, model: str) -> TokenCounts:
        return TokenCounts(partial(self._server.tokenizer.count, model))
