"""Reading an answer: what its records say, as text, thoughts, an end, counts or an error.

Nothing is taken for granted about a record: anything may have sent it that listens at the address.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from workers.llm.answers.answer_records import (
    BYTE_ORDER_MARK,
    Done,
    Item,
    Record,
    RecordReader,
    Unreadable,
)
from workers.llm.answers.thoughts import Split, ThoughtSplitter, join_splits
from workers.llm.meanings.error_report import find_error
from workers.llm.meanings.finish_reasons import reason_in

USAGE_COUNTS: Final = ("prompt_tokens", "completion_tokens", "total_tokens")
MOST_TOKENS: Final = 10**12
"""No request has more; a larger number is no count."""

REASONING_FIELDS: Final = (
    *("reasoning_content", "reasoning", "thinking", "reasoning_text", "thoughts", "thought"),
    "reasoning_details",
)
"""Where servers put thoughts: DeepSeek, vLLM, SGLang; OpenRouter, Groq; Ollama; Copilot. Some put
the same thought into two of them; the first counts."""

MAX_KEPT: Final = 100_000
"""Characters of thoughts that are kept for the event."""

_PAIR: Final = re.compile("[\ud800-\udbff][\udc00-\udfff]")

_NAME: Final = re.compile(r"[\w.-]{1,40}")
"""The name of a tool; anything else may be speech."""

Texts = list[tuple[bool, str]]
"""Pieces of a content, in order: whether it is a thought, and its text."""


class ServerError(Exception):
    """The answer says that something failed. `body` is the JSON value that says so."""

    def __init__(self, body: Any) -> None:
        super().__init__("the answer holds an error")
        self.body = body


class AnswerReader:
    """Reads one answer, and keeps what it has told so far.

    `begun`: there was a token, of text, of a thought or of a call. `reason`: the finish reason in
    the server's words, empty if there was none. `model`: as the server names it.
    """

    def __init__(self, model: str, *, starts_in_thought: bool = False) -> None:
        self.model = model
        self.kind = ""
        """The media type of the answer."""
        self.begun = False
        self.done = False
        self.reason = ""
        self.usage: Mapping[str, int] | None = None
        self.has_thoughts = False
        self.thoughts = ""
        self.tools: list[str] = []
        self.calls_tool = False
        self.has_text = False
        self.leftover: str | None = None
        """A text in the answer that is no JSON."""
        self.saw_record = False
        self._splitter = ThoughtSplitter(starts_in_thought=starts_in_thought)
        self._records = RecordReader()
        self._content = ""
        self._other = ""
        self._other_reason = ""
        self._half = ""

    def begin(self, kind: str) -> None:
        """Note the media type of an answer that begins, in place of one that held nothing."""
        self.kind = kind
        self.leftover = None
        self._records = RecordReader()

    @property
    def is_broken(self) -> bool:
        """Whether a record was cut off or damaged."""
        return self.leftover is not None and self.leftover.startswith(("{", "["))

    @property
    def unmarked_text(self) -> str:
        """The text, if it was taken for a thought, and no tag has confirmed that."""
        return self.thoughts if self._splitter.is_unconfirmed else ""

    @property
    def lacks_first_tag(self) -> bool:
        """Whether there was a thought that only its last tag marked."""
        return self._splitter.lacks_first_tag

    def feed(self, data: bytes) -> Split:
        """Read some bytes; return the text that they brought. Raises ServerError."""
        return self._read(self._records.feed(data))

    def close(self) -> Split:
        """Read what is left at the end. Raises ServerError."""
        found = self._read(self._records.close())
        if self._other and not self._content and not self.has_thoughts:
            # the server counts its only choice from 1
            found = join_splits(found, self._split([(False, self._other)]))
            self.reason = self.reason or self._other_reason
        if self._half:
            found = join_splits(found, self._keep(self._splitter.feed("?")))
            self._half = ""
        return join_splits(found, self._keep(self._splitter.end()))

    def _read(self, items: list[Item]) -> Split:
        found = Split()
        for item in items:
            match item:
                case Done():
                    self.done = True
                case Unreadable(text):
                    self.leftover = text if self.leftover is None else self.leftover
                case Record(value, is_error):
                    if self.done:
                        continue
                    found = join_splits(found, self._read_record(value, is_error=is_error))
        return found

    def _read_record(self, value: Any, *, is_error: bool) -> Split:
        error = value if is_error else find_error(value)
        if error is not None:
            raise ServerError(error)
        if not isinstance(value, Mapping):
            return Split()
        self.saw_record = True
        model = value.get("model")
        self.model = model if isinstance(model, str) and model else self.model
        if (usage := read_usage(value.get("usage"))) is not None:
            self.usage = usage
        choice = self._choose(value)
        return self._read_choice(choice) if choice is not None else Split()

    def _choose(self, value: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Return the choice with index 0; keep the text of another, in case there is no such."""
        choices = value.get("choices")
        if isinstance(choices, Mapping):
            choices = [choices]
        if not isinstance(choices, list):
            # a message without choices, as Ollama's own interface sends it
            has_words = any(isinstance(value.get(key), Mapping) for key in ("message", "delta"))
            return value if has_words else None
        found = None
        for place, choice in enumerate(choices):
            if not isinstance(choice, Mapping):
                continue
            if _index(choice, place) == 0:
                found = choice if found is None else found
            else:
                self._keep_other(choice)
        return found

    def _keep_other(self, choice: Mapping[str, Any]) -> None:
        if _index(choice, 0) != 1:
            return
        texts, _ = _words_of(choice)
        self._other += "".join(text for is_thought, text in texts if not is_thought)
        self._other_reason = reason_in(choice.get("finish_reason")) or self._other_reason

    def _read_choice(self, choice: Mapping[str, Any]) -> Split:
        reason = choice.get("finish_reason", choice.get("done_reason"))
        self.reason = reason_in(reason) or self.reason
        texts, is_whole = _words_of(choice)
        words = choice.get("delta") or choice.get("message")
        if isinstance(words, Mapping):
            self._read_calls(words)
            texts = self._thoughts_beside(words, texts)
        if is_whole:
            texts = self._new_of_whole(texts)
        self.begun = self.begun or bool(texts) or self.calls_tool or bool(self.reason)
        return self._split(texts)

    def _read_calls(self, words: Mapping[str, Any]) -> None:
        calls = words.get("tool_calls") or words.get("function_call")
        if not calls:
            return
        self.calls_tool = True
        for call in calls if isinstance(calls, list) else [calls]:
            function = call.get("function", call) if isinstance(call, Mapping) else call
            name = function.get("name") if isinstance(function, Mapping) else function
            if isinstance(name, str) and _NAME.fullmatch(name) and name not in self.tools:
                self.tools.append(name)

    def _thoughts_beside(self, words: Mapping[str, Any], texts: Texts) -> Texts:
        """Add the thoughts in fields of their own to the texts of a content."""
        if _is_marked_thought(words):
            texts = [(True, text) for _, text in texts]
        for name in REASONING_FIELDS:
            if thought := "".join(text for _, text in _texts_in(words.get(name))):
                return [(True, thought), *texts]
        return texts

    def _new_of_whole(self, texts: Texts) -> Texts:
        """Return what is new in a message that may repeat the whole text so far."""
        whole = "".join(text for is_thought, text in texts if not is_thought)
        if self._content and whole.startswith(self._content):
            return [(False, whole[len(self._content) :])] if whole != self._content else []
        return texts

    def _split(self, texts: Texts) -> Split:
        found = Split()
        for is_thought, text in texts:
            if is_thought:
                self._splitter.stop_assuming()
                found = join_splits(found, self._keep(Split(thought=text)))
                continue
            if not self._content:
                text = text.removeprefix(BYTE_ORDER_MARK)
            self._content += text
            found = join_splits(found, self._keep(self._splitter.feed(self._join_pairs(text))))
        return found

    def _join_pairs(self, text: str) -> str:
        """Join surrogate pairs, also of two pieces; half a pair without its other half is a `?`."""
        text = self._half + text
        self._half = ""
        if text.isascii():
            return text
        if "\ud800" <= text[-1] <= "\udbff":
            self._half, text = text[-1], text[:-1]
        # a pair that JSON wrote as two escapes is one character
        whole = _PAIR.sub(
            lambda pair: pair[0].encode("utf-16", "surrogatepass").decode("utf-16"), text
        )
        return whole.encode("utf-8", "replace").decode()

    def _keep(self, found: Split) -> Split:
        if found.thought:
            self.has_thoughts = True
            self.thoughts = (self.thoughts + found.thought)[:MAX_KEPT]
        self.has_text = self.has_text or bool(found.text.strip())
        return found


def read_usage(usage: Any) -> dict[str, int] | None:
    """Return the counts of a usage; None if it holds none. A count that is no number is 0."""
    if not isinstance(usage, Mapping):
        return None
    counts = {name: _count(usage.get(name)) for name in USAGE_COUNTS}
    return counts if any(counts.values()) else None


def _count(value: Any) -> int:
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 < value < MOST_TOKENS
    return value if is_count else 0


def _index(choice: Mapping[str, Any], place: int) -> int:
    """Return the index of a choice; its place where it has none."""
    index = choice.get("index")
    if isinstance(index, str) and index.isdecimal():
        index = int(index[:9])
    return index if isinstance(index, int) else place


def _words_of(choice: Mapping[str, Any]) -> tuple[Texts, bool]:
    """Return the texts of a choice, and whether they stand in a message rather than in a delta."""
    for name in ("delta", "message"):
        words = choice.get(name)
        if isinstance(words, str) and words:
            return [(False, words)], name == "message"
        if isinstance(words, Mapping) and words:
            texts = list(_texts_in(words.get("content")))
            return texts or list(_texts_in(words.get("refusal"))), name == "message"
    return list(_texts_in(choice.get("text"))), False


def _is_marked_thought(words: Mapping[str, Any]) -> bool:
    """Return whether a delta is marked as a thought, as Gemini's are."""
    extra = words.get("extra_content")
    google = extra.get("google") if isinstance(extra, Mapping) else None
    return isinstance(google, Mapping) and google.get("thought") is True


def _texts_in(
    content: Any, *, is_thought: bool = False, depth: int = 0
) -> Iterator[tuple[bool, str]]:
    """Yield the texts of a content: a text, a number, or parts that hold them."""
    if isinstance(content, str):
        if content:
            yield is_thought, content
    elif isinstance(content, bool) or content is None or depth > 8:
        return
    elif isinstance(content, int | float):
        yield is_thought, str(content)
    elif isinstance(content, list):
        for part in content:
            yield from _texts_in(part, is_thought=is_thought, depth=depth + 1)
    elif isinstance(content, Mapping):
        kind = str(content.get("type", "")).lower()
        if "redacted" in kind or "encrypted" in kind:
            return
        thinks = is_thought or any(word in kind for word in ("think", "thought", "reason"))
        for name in ("text", "thinking", "content", "reasoning", "summary", "value", "refusal"):
            if found := list(_texts_in(content.get(name), is_thought=thinks, depth=depth + 1)):
                yield from found
                return
