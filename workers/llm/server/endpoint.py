"""The HTTP interface of a server, through the OpenAI SDK.

The SDK sends the requests. What comes back is read raw, since servers send much that the SDK cannot
read. Its own retries are off: the consumer loop retries, and knows when not to.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, cast

import openai
import structlog
from openai.types.chat import ChatCompletionMessageParam

from common import traceparent
from common.errors import Permanent, Transient
from common.settings import LlmSettings
from common.settings.masking import mask_password
from common.transitions.answering import Message
from workers.llm.answers.answer_reader import AnswerReader, ServerError
from workers.llm.answers.thoughts import Split
from workers.llm.meanings.error_report import ErrorReport, make_report
from workers.llm.meanings.errors import WrongPath
from workers.llm.meanings.explainer import Explainer
from workers.llm.meanings.retry_times import retry_time
from workers.llm.server.connection import (
    VERSION,
    base_urls,
    explain_connection,
    is_http_error,
    make_client,
)
from workers.llm.server.model_list import ModelList, read_model_list

Headers = dict[str, str | openai.Omit]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: the model, the messages, and the other fields.

    `max_tokens` limits the reply; `optional` are the fields that a request can do without.
    """

    model: str
    messages: Sequence[Message]
    fields: Mapping[str, Any]
    max_tokens: int
    optional: frozenset[str]


class Endpoint:
    """Where the requests go. Raises BadSetting for an address that cannot be used.

    There are two base URLs: the one that was set, and the same with or without `/v1`. The second is
    tried where the first has no such interface, and taken where it has.
    """

    def __init__(self, settings: LlmSettings, address: str) -> None:
        self._settings = settings
        self._address = address
        self._key = settings.api_key.get_secret_value()
        self._explainer = Explainer(address, has_key=bool(self._key))
        self.client = make_client(settings, self._key)
        self._other = self.client.with_options(base_url=base_urls(settings.base_url)[1])
        # without a key no authorization is sent, whatever the SDK finds in its own variables
        self.headers: Headers = {} if self._key else {"Authorization": openai.omit}

    async def close(self) -> None:
        """Close all connections."""
        await self.client.close()

    async def list_models(self) -> ModelList | None:
        """Return the list of models; None if the server has none. Raises Transient."""
        found = await self._fetch_models(self.client)
        if found is None and (found := await self._fetch_models(self._other)) is not None:
            self._change_url()
        return found

    async def stream(self, asked: Asked, reader: AnswerReader) -> AsyncGenerator[Split, None]:
        """Ask, and let `reader` read the answer; yield what it reads, a piece for all that came.

        Raises Transient and Permanent, those of `meanings/errors.py` among them.
        """
        client, begun = self.client, False
        first: WrongPath | None = None
        while True:
            try:
                async with aclosing(self._stream(client, asked, reader)) as splits:
                    async for split in splits:
                        begun = True
                        yield split
                self._check_is_answer(reader, asked)
            except WrongPath as error:
                if begun or first is not None:
                    raise first or error from None
                client, first = self._other, error
            else:
                if client is not self.client:
                    self._change_url()
                return

    async def tokenize(self, model: str, text: str) -> Any:
        """Return what the server answers to a question for the tokens of a text (vLLM's interface).

        Raises openai.APIError, and ValueError or RecursionError for an answer that is no JSON.
        """
        url = VERSION.sub("", str(self.client.base_url).rstrip("/")) + "/tokenize"
        answer = await self.client.post(
            url,
            cast_to=str,
            body={"model": model, "prompt": text, "add_special_tokens": False},
            options={"headers": self.headers},
        )
        return json.loads(answer)

    async def fetch_prompt_end(self, model: str) -> str | None:
        """Return how the model's chat template ends a prompt; None if the server does not tell.

        vLLM tells by its tokens, llama.cpp applies the template. Raises what `tokenize` does.
        """
        root = VERSION.sub("", str(self.client.base_url).rstrip("/"))
        asked = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
        questions = (
            ("/tokenize", asked | {"return_token_strs": True, "add_generation_prompt": True}),
            ("/apply-template", asked),
        )
        for path, body in questions:
            try:
                text = await self.client.post(
                    root + path, cast_to=str, body=body, options={"headers": self.headers}
                )
                answer = json.loads(text)
            except (openai.APIStatusError, ValueError, RecursionError):
                continue
            if isinstance(answer, dict):
                tokens, prompt = answer.get("token_strs"), answer.get("prompt")
                if isinstance(tokens, list) and tokens:
                    return "".join(str(token) for token in tokens[-20:])
                if isinstance(prompt, str) and prompt:
                    return prompt[-200:]
        return None

    async def _stream(
        self, client: openai.AsyncOpenAI, asked: Asked, reader: AnswerReader
    ) -> AsyncGenerator[Split, None]:
        opening = client.chat.completions.with_streaming_response.create(
            model=asked.model,
            messages=cast("list[ChatCompletionMessageParam]", list(asked.messages)),
            extra_body=asked.fields,
            extra_headers=self.headers | _trace_context(),
        )
        try:
            async with opening as response:
                reader.begin(response.headers.get("content-type", ""))
                async with aclosing(response.http_response.aiter_bytes()) as chunks:
                    async for data in chunks:
                        split = reader.feed(data)
                        if split.text or split.thought or split.takes_back:
                            yield split
                yield reader.close()
        except ServerError as error:
            raise self._explain(
                make_report(error.body, api_key=self._key, messages=asked.messages), asked
            ) from None
        except openai.APIStatusError as error:
            raise self._explain(self._report(error, asked.messages), asked) from None
        except openai.APIError as error:
            raise explain_connection(self._address, error) from None
        except Exception as error:
            if not is_http_error(error):
                raise
            raise explain_connection(self._address, error) from None

    async def _fetch_models(self, client: openai.AsyncOpenAI) -> ModelList | None:
        limit_s = self._settings.token_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                text = await client.get("/models", cast_to=str, options={"headers": self.headers})
        except TimeoutError:
            raise Transient(
                f"the LLM server at {self._address} takes connections and does not answer within"
                f" {limit_s:g} s: its own log may say why"
            ) from None
        except openai.APIStatusError as error:
            explained = self._explainer.explain(self._report(error))
            if isinstance(explained, Transient) and not isinstance(explained, WrongPath):
                raise explained from None
            return None
        except openai.APIError as error:
            if type(error.__cause__).__name__ == "TooManyRedirects":
                return None
            raise explain_connection(self._address, error) from None
        return read_model_list(text)

    def _report(
        self, error: openai.APIStatusError, messages: Sequence[Message] = ()
    ) -> ErrorReport:
        response = error.response
        text = response.text if response.is_stream_consumed else ""
        report = make_report(text, status=error.status_code, api_key=self._key, messages=messages)
        return replace(report, retry_after=retry_time(response.headers, report.words))

    def _explain(self, report: ErrorReport, asked: Asked) -> Transient | Permanent:
        if report.retry_after is None:
            report = replace(report, retry_after=retry_time({}, report.words))
        return self._explainer.explain(
            report, model=asked.model, reply=asked.max_tokens, optional=asked.optional
        )

    def _check_is_answer(self, reader: AnswerReader, asked: Asked) -> None:
        """Raise what it means if a part of the answer is no JSON: words may be missing."""
        if reader.leftover is None or (reader.saw_record and not reader.is_broken):
            return
        report = make_report(reader.leftover, api_key=self._key, messages=asked.messages)
        raise self._explainer.explain_text(report, reader.kind)

    def _change_url(self) -> None:
        self.client, self._other = self._other, self.client
        log.warning("other_base_url", url=mask_password(str(self.client.base_url)))


def _trace_context() -> Headers:
    context = traceparent.current.get()
    return {"traceparent": context} if context else {}
