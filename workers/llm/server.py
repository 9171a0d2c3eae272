"""The LLM server, through the OpenAI SDK: streams with deadlines, and errors explained.

The SDK's own retries are off: the consumer loop retries, and knows when not to.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final, cast

import openai
import structlog
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

from common import traceparent
from common.errors import BadSetting, Misconfigured, Permanent, Transient
from common.settings import LlmSettings
from common.settings.masking import mask_password
from common.transitions.answering import Message
from workers.llm.errors import Explainer, SystemRoleRefused, join_names
from workers.llm.reply import ChunkReader, Finished, OddChunk
from workers.llm.tokens import Tokenizer

SMALLEST: Final[Sequence[Message]] = ({"role": "user", "content": "hello"},)
"""The question to ask where only an answer shows whether the server answers anybody."""

EVENT_STREAM: Final = "text/event-stream"

Stream = openai.AsyncStream[ChatCompletionChunk]
Headers = dict[str, str | openai.Omit]

log = structlog.get_logger(__name__)


class LlmServer:
    """One OpenAI-compatible server. Raises BadSetting for an address or key that cannot be used."""

    def __init__(self, settings: LlmSettings) -> None:
        self._settings = settings
        self.address = mask_password(settings.base_url)
        key = settings.api_key.get_secret_value()
        if not (key.isascii() and key.isprintable() and " " not in key):
            raise BadSetting(
                "EARSHOT_LLM__API_KEY holds white space or characters that no key has: set it anew"
            )
        self._explainer = Explainer(self.address, key)
        # without a key no authorization is sent, whatever the SDK finds in its own variables
        self._headers: Headers = {} if key else {"Authorization": openai.omit}
        self._only_model = ""
        self._windows: dict[str, int] = {}
        self._reply_limits: dict[str, int] = {}
        self.takes_system_role = settings.system_role != "first_user"
        """Whether the model's chat template takes one; the first refusal tells."""
        try:
            self._client = openai.AsyncOpenAI(
                api_key=key or "none",
                base_url=settings.base_url,
                max_retries=0,
                # our own deadlines limit the wait for answers; they differ by phase
                timeout=openai.Timeout(None, connect=settings.connect_timeout_s),
            )
        except Exception as error:
            raise BadSetting(
                f"EARSHOT_LLM__BASE_URL {self.address!r} is not usable: {error}"
            ) from None
        self.tokenizer = Tokenizer(self._client, self._headers)

    @property
    def model(self) -> str:
        """The name to ask for; empty while it is not known."""
        return self._settings.model or self._only_model

    @property
    def window(self) -> int | None:
        """Prompt and reply together, in tokens: the smaller of the server's and the settings'."""
        limits = (self._windows.get(self.model), self._settings.context_tokens)
        return min(filter(None, limits), default=None)

    def learn_window(self, window: int | None) -> None:
        """Note the window that the server named in a refusal, if it named one."""
        if window:
            self._windows[self.model] = window

    @property
    def reply_limit(self) -> int | None:
        """The longest reply that the server gives, in tokens, if it refused a longer one."""
        return self._reply_limits.get(self.model)

    def learn_reply_limit(self, tokens: int) -> None:
        """Note that longer replies were refused."""
        self._reply_limits[self.model] = tokens
        log.warning("replies_are_cut", max_tokens=tokens, why="the server gives no longer ones")

    def give_up_system_role(self, refusal: SystemRoleRefused) -> None:
        """Use no system role from now on; raises Misconfigured where the settings insist on it."""
        if self._settings.system_role == "system":
            raise Misconfigured(f"{refusal}: set EARSHOT_LLM__SYSTEM_ROLE to auto or first_user")
        self.takes_system_role = False
        log.info("system_role_refused", why=str(refusal), cure="first user message")

    def warm(self) -> None:
        """Have the SDK import now what the first request needs."""
        _ = self._client.chat.completions, self._client.models

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    async def probe(self) -> None:
        """Check that the server can answer requests; raises Transient with the reason if not.

        Believes a server that lists the model. Where the list does not tell, asks for a reply of
        one token: some servers answer to names that they do not list.
        """
        names = await self.list_models()
        if names is None or (self._settings.model and self._settings.model not in names):
            await self._ask_for_one_token()
        else:
            self._only_model = ""
            await self._model(names)

    async def ask_smallest(self) -> None:
        """Ask for a reply of one token; raises Transient with the reason if there is none.

        Asks for the served models only where the settings name none: the list may fail by itself.
        """
        if not self._settings.model:
            await self._choose_only_model()
        await self._ask_for_one_token()

    async def _choose_only_model(self) -> None:
        """Look anew which model is served; raises Transient if none can be chosen."""
        chosen = self._only_model
        self._only_model = ""
        try:
            await self._model()
        except Transient:
            if not chosen:
                raise
            self._only_model = chosen  # the reply will tell

    async def list_models(self) -> list[str] | None:
        """Return the served names; None if the server has no such list. Raises Transient."""
        limit_s = self._settings.token_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                page = await self._client.models.list(extra_headers=self._headers)
        except TimeoutError:
            raise Transient(
                f"the LLM server at {self.address} takes connections and does not answer within"
                f" {limit_s:g} s: its own log may say why"
            ) from None
        except openai.NotFoundError:
            return None
        except openai.APIError as error:
            explained = self._explainer.explain(error)
            if isinstance(explained, Transient):
                raise explained from None
            return None
        except json.JSONDecodeError:
            return None
        models = getattr(page, "data", None)  # anything may have answered
        if not isinstance(models, list):
            return None
        listed = [model for model in models if hasattr(model, "id")]
        self._windows = {str(model.id): tokens for model in listed if (tokens := window_of(model))}
        return [str(model.id) for model in listed]

    async def generate(
        self, messages: Sequence[Message], max_tokens: int, temperature: float | None = None
    ) -> AsyncGenerator[str | Finished, None]:
        """Yield the pieces of a reply's text as they come, then how it ended.

        `temperature` None: that of the settings. Close it (`contextlib.aclosing`) to stop the
        server generating. Raises Transient and Permanent, ContextTooLong and SystemRoleRefused
        among them, mostly before the first piece.
        """
        model = await self._model()
        reader = ChunkReader(model)
        stream: Stream | None = None
        limit_s = self._settings.first_token_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                stream = await self._open(model, messages, max_tokens, temperature)
                text = await reader.first(stream)
            limit_s = self._settings.token_timeout_s
            while text is not None:
                if text:
                    yield text
                async with asyncio.timeout(limit_s):
                    text = await reader.next(stream)
        except TimeoutError:
            raise self._timed_out(limit_s, begun=reader.begun) from None
        except openai.APIError as error:
            raise await self._explain(error, model, messages) from None
        except json.JSONDecodeError as error:
            raise Transient(
                f"the LLM server at {self.address} sent a chunk that is no JSON ({error})",
                opens_breaker=False,
            ) from None
        except OddChunk as error:
            raise Transient(
                f"the LLM server at {self.address} sent a chunk of an unknown shape ({error})",
                opens_breaker=False,
            ) from None
        finally:
            if stream is not None:
                await _close(stream)
        if not reader.begun:
            self._check_is_stream(stream)
        finish_reason = self._explainer.check_end(reader.finish_reason)
        yield Finished(finish_reason, reader.model, reader.usage)

    async def _ask_for_one_token(self) -> None:
        try:
            async with aclosing(self.generate(SMALLEST, 1)) as pieces:
                async for _ in pieces:
                    pass
        except Permanent as error:
            log.debug("probe_refused", why=str(error))  # the server answers: it is usable

    async def _model(self, names: Sequence[str] | None = None) -> str:
        """Return the model to ask for: the setting, or the only one there is."""
        if self.model:
            return self.model
        if names is None:
            names = await self.list_models()
        if names is None:
            raise Transient(
                f"the LLM server at {self.address} lists no models: check EARSHOT_LLM__BASE_URL,"
                " which ends in /v1 for most servers, or set EARSHOT_LLM__MODEL"
            )
        if len(names) != 1:
            raise Transient(
                f"the LLM server at {self.address} lists {join_names(names)}:"
                " set EARSHOT_LLM__MODEL to the one that is to answer"
            )
        self._only_model = names[0]
        return self._only_model

    async def _open(
        self,
        model: str,
        messages: Sequence[Message],
        max_tokens: int,
        temperature: float | None,
    ) -> Stream:
        return await self._client.chat.completions.create(
            model=model,
            messages=cast("list[ChatCompletionMessageParam]", list(messages)),
            max_tokens=max_tokens,
            temperature=self._settings.temperature if temperature is None else temperature,
            stream=True,
            stream_options={"include_usage": True},
            extra_headers=self._headers | _trace_context(),
        )

    def _timed_out(self, limit_s: float, *, begun: bool) -> Transient:
        what, setting = (
            ("further token", "TOKEN_TIMEOUT_S") if begun else ("token", "FIRST_TOKEN_TIMEOUT_S")
        )
        return Transient(
            f"the LLM server at {self.address} sent no {what} for {limit_s:g} s: it hangs or has"
            f" too much to do (the limit is EARSHOT_LLM__{setting})",
            opens_breaker=False,
            broke_off=True,
        )

    async def _explain(
        self, error: openai.APIError, model: str, messages: Sequence[Message]
    ) -> Transient | Permanent:
        if isinstance(error, openai.NotFoundError):
            self._only_model = ""
            try:
                served = await self.list_models()
            except Transient:
                served = None
            if served is not None and model not in served:
                return self._explainer.explain_missing_model(error, model, served, messages)
        return self._explainer.explain(error, model=model, messages=messages)

    def _check_is_stream(self, stream: Stream) -> None:
        kind = stream.response.headers.get("content-type", "")
        if EVENT_STREAM not in kind:
            raise Transient(
                f"the LLM server at {self.address} answers with {kind or 'nothing'} instead of a"
                " stream of events: check EARSHOT_LLM__BASE_URL"
            )


async def _close(stream: Stream) -> None:
    """Stop the server generating, and end the reader of its stream now.

    The SDK's stream and its reader refer to each other. Without this the garbage collector would
    end them later, perhaps in another thread.
    """
    await stream.close()
    reader = stream._iterator
    if isinstance(reader, AsyncGenerator):
        await reader.aclose()


def window_of(model: object) -> int | None:
    """Return the window in tokens that an entry of the list of models tells; vLLM tells it."""
    tokens = getattr(model, "max_model_len", None)
    return tokens if isinstance(tokens, int) and tokens > 0 else None


def _trace_context() -> Headers:
    context = traceparent.current.get()
    return {"traceparent": context} if context else {}
