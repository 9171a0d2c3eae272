"""The LLM server, through the OpenAI SDK: streams with deadlines, and errors that are explained.

The SDK's own retries are off: the consumer loop retries, and knows when not to.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, cast

import openai
import structlog
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

from common import traceparent
from common.errors import BadSetting, Permanent, Transient
from common.settings import LlmSettings
from common.settings.masking import mask_password
from common.transitions.answering import Message
from workers.llm.errors import Explainer, SystemRoleRefused, listing
from workers.llm.reply import Reply
from workers.llm.tokenizer import Tokenizer

# One request may be unlucky; so many in a row, with no reply in between, are the server's state.
TIMEOUTS_THAT_OPEN: Final = 3

# What is asked where only an answer can tell whether a model is served.
TRIAL: Final[Sequence[Message]] = ({"role": "user", "content": "hello"},)

EVENT_STREAM: Final = "text/event-stream"

Stream = openai.AsyncStream[ChatCompletionChunk]
Headers = dict[str, str | openai.Omit]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Finished:
    """How a reply ended: `model` as the server names it, `usage` in tokens if it counted them."""

    finish_reason: str
    model: str
    usage: Mapping[str, int] | None = None


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
        self._timeouts = 0
        self.takes_system_role = settings.system_role != "first_user"
        """Whether the model's chat template does; found out by whoever asks, kept for the next."""
        try:
            self._client = openai.AsyncOpenAI(
                api_key=key or "none",
                base_url=settings.base_url,
                max_retries=0,
                # waiting for answers is bounded by deadlines of our own, which differ by phase
                timeout=openai.Timeout(None, connect=settings.connect_timeout_s),
            )
        except Exception as error:
            raise BadSetting(
                f"EARSHOT_LLM__BASE_URL {self.address!r} is not usable: {error}"
            ) from None
        self.tokenizer = Tokenizer(self._client, self._headers)

    @property
    def model(self) -> str:
        """The name that is asked for; empty while that is not known."""
        return self._settings.model or self._only_model

    @property
    def window(self) -> int | None:
        """Prompt and reply together, in tokens, as the server tells and the settings allow."""
        limits = (self._windows.get(self.model), self._settings.context_tokens)
        return min(filter(None, limits), default=None)

    def learn_window(self, window: int | None) -> None:
        """A window that the server named in a refusal."""
        if window:
            self._windows[self.model] = window

    def give_up_system_role(self, refusal: SystemRoleRefused) -> None:
        """The model refused it; raises Transient where the settings insist on it."""
        if self._settings.system_role == "system":
            raise Transient(f"{refusal}: set EARSHOT_LLM__SYSTEM_ROLE to auto or first_user")
        self.takes_system_role = False
        log.info("system_role_refused", why=str(refusal), cure="first user message")

    def warm(self) -> None:
        """Have the SDK import what the first request needs, before there is one."""
        _ = self._client.chat.completions, self._client.models

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    async def probe(self) -> None:
        """Ask whether requests have a chance of being answered; Transient says why not.

        A server that lists the model is believed; where the list does not tell, a reply of one
        token is asked for (some servers answer to names that they do not list).
        """
        names = await self.list_models()
        if names is None or (self._settings.model and self._settings.model not in names):
            await self._try_model()
        else:
            self._only_model = ""
            await self._model(names)

    async def list_models(self) -> list[str] | None:
        """The served names; None if the server has no such list. Raises Transient."""
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
        models = getattr(page, "data", None)  # whatever listens there may have answered
        if not isinstance(models, list):
            return None
        listed = [model for model in models if hasattr(model, "id")]
        self._windows = {str(model.id): tokens for model in listed if (tokens := window_of(model))}
        return [str(model.id) for model in listed]

    async def generate(
        self, messages: Sequence[Message], max_tokens: int, temperature: float | None = None
    ) -> AsyncGenerator[str | Finished, None]:
        """A reply: pieces of text as they come, then how it ended. `temperature`: the settings' if
        None.

        Close it (`contextlib.aclosing`) to stop the server generating. Raises Transient and
        Permanent; ContextTooLong and SystemRoleRefused before the first piece.
        """
        model = await self._model()
        reply = Reply(model)
        stream: Stream | None = None
        limit_s = self._settings.first_token_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                stream = await self._open(model, messages, max_tokens, temperature)
                text = await reply.first(stream)
            limit_s = self._settings.token_timeout_s
            while text is not None:
                if text:
                    yield text
                async with asyncio.timeout(limit_s):
                    text = await reply.more(stream)
        except TimeoutError:
            raise self._timed_out(limit_s, begun=reply.begun) from None
        except openai.APIError as error:
            raise await self._explained(error, model) from None
        except json.JSONDecodeError as error:
            raise Transient(
                f"the LLM server at {self.address} sent a chunk that is no JSON ({error})",
                opens_breaker=False,
            ) from None
        finally:
            if stream is not None:
                await _close(stream)
        if not reply.begun:
            self._check_is_stream(stream)
        finish_reason = self._explainer.check_end(reply.finish_reason)
        self._timeouts = 0
        yield Finished(finish_reason, reply.model, reply.usage)

    async def _try_model(self) -> None:
        try:
            async with aclosing(self.generate(TRIAL, 1)) as pieces:
                async for _ in pieces:
                    pass
        except Permanent as error:
            log.debug("probe_refused", why=str(error))  # it answers, and that was the question

    async def _model(self, names: Sequence[str] | None = None) -> str:
        """The model to ask for: the setting, or the only one there is."""
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
                f"the LLM server at {self.address} lists {listing(names)}:"
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
        self._timeouts += 1
        what, setting = (
            ("further token", "TOKEN_TIMEOUT_S") if begun else ("token", "FIRST_TOKEN_TIMEOUT_S")
        )
        return Transient(
            f"the LLM server at {self.address} sent no {what} for {limit_s:g} s: it hangs or has"
            f" too much to do (the limit is EARSHOT_LLM__{setting})",
            opens_breaker=self._timeouts >= TIMEOUTS_THAT_OPEN,
        )

    async def _explained(self, error: openai.APIError, model: str) -> Transient | Permanent:
        if isinstance(error, openai.NotFoundError):
            self._only_model = ""
            try:
                served = await self.list_models()
            except Transient:
                served = None
            if served is not None and model not in served:
                return self._explainer.no_such_model(error, model, served)
        return self._explainer.explain(error, model=model)

    def _check_is_stream(self, stream: Stream) -> None:
        kind = stream.response.headers.get("content-type", "")
        if EVENT_STREAM not in kind:
            raise Transient(
                f"the LLM server at {self.address} answers with {kind or 'nothing'} instead of a"
                " stream of events: check EARSHOT_LLM__BASE_URL"
            )


async def _close(stream: Stream) -> None:
    """Stop the server, and end what reads from it now: the SDK's stream and its reader hold each
    other, so that they would wait for the garbage collector, which may end them from a thread."""
    await stream.close()
    reader = stream._iterator
    if isinstance(reader, AsyncGenerator):
        await reader.aclose()


def window_of(model: object) -> int | None:
    """What an entry of the list of models tells about its window, in tokens; vLLM does."""
    tokens = getattr(model, "max_model_len", None)
    return tokens if isinstance(tokens, int) and tokens > 0 else None


def _trace_context() -> Headers:
    context = traceparent.current.get()
    return {"traceparent": context} if context else {}
