"""The LLM server: its model, its replies with their deadlines, and whether it is usable."""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, suppress
from typing import Final

import openai
import structlog

from common.errors import BadSetting, Permanent, Transient
from common.settings import LlmSettings
from common.settings.masking import mask_password
from common.transitions.answering import Message
from workers.llm.answers.answer_reader import AnswerReader
from workers.llm.answers.finished import Finished
from workers.llm.answers.thoughts import OPENING
from workers.llm.meanings.errors import NoSuchModel, ParameterRefused, StartAnew, WrongPath
from workers.llm.meanings.explainer import Explainer, join_names, name_reason
from workers.llm.meanings.finish_reasons import KNOWN, End
from workers.llm.server.endpoint import Asked, Endpoint
from workers.llm.server.first_words import gather_first_words
from workers.llm.server.knowledge import Knowledge
from workers.llm.server.parameters import Parameters
from workers.llm.server.tokens import COUNT_TIMEOUT_S, Tokenizer

SMALLEST: Final[Sequence[Message]] = ({"role": "user", "content": "hello"},)
"""The question to ask where only an answer shows whether the server answers anybody."""

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
        self._explainer = Explainer(self.address, has_key=bool(key))
        self._endpoint = Endpoint(settings, self.address)
        self._parameters = Parameters(settings.extra_body)
        self._only_model = ""
        self._odd_reasons: set[str] = set()
        self.knowledge = Knowledge(settings, settings.system_role != "first_user")
        self.tokenizer = Tokenizer(self._endpoint)

    @property
    def model(self) -> str:
        """The name to ask for; empty while it is not known."""
        return self._settings.model or self._only_model

    @property
    def window(self) -> int | None:
        """Prompt and reply together, in tokens, as far as it is known or set."""
        return self.knowledge.window(self.model)

    def warm(self) -> None:
        """Have the SDK import now what the first request needs."""
        _ = self._endpoint.client.chat.completions, self._endpoint.client.models

    async def close(self) -> None:
        """Close all connections."""
        await self._endpoint.close()

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
        await self._learn_template()

    async def ask_smallest(self) -> None:
        """Ask for a reply of one token; raises Transient with the reason if there is none.

        Asks for the served models only where the settings name none: the list may fail by itself.
        """
        if not self._settings.model:
            await self._choose_only_model()
        await self._ask_for_one_token()
        await self._learn_template()

    async def _learn_template(self) -> None:
        """Look once whether the model's chat template opens a thought; never fails."""
        known = self.knowledge.of(self.model)
        if known.knows_template:
            return
        known.knows_template = True
        with suppress(TimeoutError, openai.APIError):
            async with asyncio.timeout(COUNT_TIMEOUT_S):
                end = await self._endpoint.fetch_prompt_end(self.model)
            if end is not None:
                known.opens_with_thought = end.rstrip().lower().endswith(OPENING)

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

    async def list_models(self) -> Sequence[str] | None:
        """Return the served names; None if the server has no such list. Raises Transient."""
        found = await self._endpoint.list_models()
        if found is None:
            return None
        self.knowledge.note_listed(found.windows)
        return found.names

    async def generate(
        self, messages: Sequence[Message], max_tokens: int, temperature: float | None = None
    ) -> AsyncGenerator[str | Finished, None]:
        """Yield the pieces of a reply's text as they come, then how it ended.

        `temperature` None: that of the settings. Close it (`contextlib.aclosing`) to stop the
        server generating. Asks again where the server refuses a field. Raises StartAnew, Transient
        and Permanent, those of `meanings/errors.py` among them, mostly before the first piece.
        """
        model = await self._model()
        warmth = self._settings.temperature if temperature is None else temperature
        while True:
            fields = self._parameters.fields(max_tokens, warmth)
            asked = Asked(model, messages, fields, max_tokens, self._parameters.names)
            begun = False
            try:
                async with aclosing(self._stream(asked)) as parts:
                    async for part in parts:
                        begun = True
                        yield part
            except ParameterRefused as refusal:
                if begun or not self._parameters.give_up(refusal, fields):
                    raise
            except (NoSuchModel, WrongPath) as error:
                raise await self._explain_missing_model(error, model) from None
            else:
                return

    async def _stream(self, asked: Asked) -> AsyncGenerator[str | Finished, None]:
        """Yield the pieces of the reply to one request, then how it ended."""
        starts_in_thought = self.knowledge.starts_in_thought(asked.model)
        reader = AnswerReader(asked.model, starts_in_thought=starts_in_thought)
        limit_s = self._settings.first_token_timeout_s
        shown = False
        splits = self._endpoint.stream(asked, reader)
        if not starts_in_thought and self.knowledge.of(asked.model).opens_with_thought is None:
            splits = gather_first_words(splits)
        try:
            async with aclosing(splits):
                while True:
                    async with asyncio.timeout(limit_s):
                        split = await anext(splits, None)
                    if split is None:
                        break
                    if split.takes_back and shown:
                        self.knowledge.note_first_tag(asked.model, is_missing=True)
                        raise StartAnew
                    if reader.begun:
                        limit_s = self._settings.token_timeout_s
                    if split.text:
                        shown = shown or bool(split.text.strip())
                        yield split.text
        except TimeoutError:
            raise self._timed_out(limit_s, begun=reader.begun) from None
        for part in self._end(asked, reader):
            yield part

    def _end(self, asked: Asked, reader: AnswerReader) -> Iterator[str | Finished]:
        """Yield what follows the last piece: how the reply ended. Raises Transient, Permanent."""
        finish_reason = self._explainer.check_end(
            reader.reason, has_text=reader.has_text or reader.has_thoughts, is_whole=reader.done
        )
        if reader.reason and reader.reason not in KNOWN | self._odd_reasons:
            self._odd_reasons.add(reader.reason)
            log.warning(
                "odd_finish_reason", reason=name_reason(reader.reason), taken_as=finish_reason
            )
        text = reader.unmarked_text
        if text and finish_reason != End.LENGTH.value:
            yield text  # the model did not think this time
        else:
            text = ""
        if reader.has_text or text:
            self.knowledge.note_first_tag(asked.model, is_missing=reader.lacks_first_tag)
        self.knowledge.note_usage(asked.model, reader.usage)
        keeps = self._settings.keep_reasoning and not text
        yield Finished(
            finish_reason,
            reader.model,
            reader.usage,
            reasoning=reader.thoughts.strip() if keeps else "",
            thought=reader.has_thoughts and not text,
            calls_tool=reader.calls_tool,
            tools=tuple(reader.tools),
        )

    async def _ask_for_one_token(self) -> None:
        try:
            async with aclosing(self.generate(SMALLEST, 1)) as pieces:
                async for _ in pieces:
                    pass
        except (Permanent, StartAnew) as error:
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

    async def _explain_missing_model(self, error: Transient, model: str) -> Transient:
        """Return a sentence with the served names, if the model is none of them."""
        self._only_model = ""
        try:
            served = await self.list_models()
        except Transient:
            served = None
        if served is not None and model not in served:
            return self._explainer.explain_missing_model(error, model, served)
        return error

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
