"""What servers' errors mean, by their words: one table, with the makers who use them.

Status codes tell little. llama.cpp answers a full window with 500, Groq a rate with 413, TGI a
long prompt with 422, Google a wrong key with 400, and many send errors with status 200. So the
words come first, and the status decides only where they say nothing.
"""

import re
from enum import Enum, auto
from typing import Final

from workers.llm.meanings.error_report import ErrorReport


class Meaning(Enum):
    """What an error is about."""

    WANTS_TLS = auto()
    WRONG_KEY = auto()
    NO_CREDIT = auto()
    BUSY = auto()
    """The server works, and takes no more now."""
    ABOVE_RATE = auto()
    """The request alone needs more tokens than may be used in a minute."""
    NO_SYSTEM_ROLE = auto()
    REPLY_TOO_SHORT = auto()
    """More tokens must be allowed for a reply: a model that reasons needs them."""
    REPLY_TOO_LONG = auto()
    PARAMETER = auto()
    """A field of the request is not known, or not as the model wants it."""
    WINDOW_FULL = auto()
    FILTERED = auto()
    NO_MODEL = auto()
    WRONG_PATH = auto()
    BROKEN = auto()
    """What computes has died; the next request may find another."""
    UNKNOWN = auto()


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE | re.DOTALL)


WANTS_TLS: Final = _any(
    r"plain HTTP request was sent to HTTPS",  # nginx
    r"HTTP request to an HTTPS server",  # servers in Go
    r"speaking plain HTTP to an SSL",  # Apache
)

WRONG_KEY: Final = _any(
    r"api[ _-]?key.{0,20}(not valid|invalid|incorrect|expired|missing|required)",  # Google
    r"(incorrect|invalid|missing|wrong|no|expired|provide an?)[ _](x-)?api[ _-]?key",  # OpenAI
    r"invalid_api_key|authentication_error|AuthenticationError|Invalid Authentication",
    r"\bunauthorized\b|UNAUTHENTICATED|无效的令牌|token is (expired|unusable)",  # One API
)

NO_CREDIT: Final = _any(
    r"insufficient[ _](quota|balance|credits?|funds?)|out of credits?|no credits?\b",
    r"\bcheck your (plan|billing)|billing (not|details|account)",
    r"credit balance|exceeded your (current|monthly) quota|billing hard limit|payment required",
    r"Arrearage|余额不足|欠费",  # DashScope, Zhipu
)

RETRY_TOLD: Final = _any(
    r"(retry|again|wait)\W{0,3}(in|after|for)\W{0,3}\d", r"retryDelay|RetryInfo"
)

BUSY: Final = _any(
    r"(tokens?|requests?|input|queries)[ _-](per|/)[ _-]?(min|hour|day|sec|month)|\b[TR]P[MDHS]\b",
    r"rate[ _-]?limit|too many requests|throttl|overloaded|at capacity|over capacity",
    r"RESOURCE_EXHAUSTED|quota (has been )?exceeded|exceeded.{0,20}quota",
    r"concurren\w+ (request )?limit",
    r"loading model|model is (currently |still )?(being loaded|loading)|queue is full",
    r"(server|model|system|service) (is )?(too |currently )?busy|limit_burst_rate",
    r"resource has been exhausted|capacity exceeded|速率限制|请求过多|并发",
)

TOO_LARGE_FOR_RATE: Final = _any(
    r"request too large|reduce your (message|prompt|request)|tokens must be reduced"
)
RATE_NUMBERS: Final = (
    _any(r"\blimit\W{0,3}(?P<limit>\d+).{0,60}?\brequested\W{0,4}(?P<asked>\d+)"),  # OpenAI, Groq
    _any(r"\b(?P<asked>\d+)\W.{0,40}exceed.{0,60}limit\D{0,12}(?P<limit>\d+)"),
)

NO_SYSTEM_ROLE: Final = _any(
    r"roles must alternate",  # Mistral 7B v0.1 and v0.2, through vLLM and llama.cpp
    r"system\W{1,3}role|system_role|role[s]?\W{1,4}system\b|\bgot system\b",  # Gemma
    r"only (supports? |allows? |accepts? )?(the )?user(,| and) (the )?(assistant|model)",
    r"(first message|conversation|messages?) (must|should|has to)\W.{0,30}\buser\b",  # Llama 2
    r"unexpected role",  # Anthropic
    r"(not|n['’]t) (support|allow|accept)\w* (the )?['\"]?(system|developer)",  # Bedrock, o1
    r"(system|developer) (message|prompt|instruction)s?\W.{0,20}(not|un)\w*",  # Gemma at Google
    r"messages?\W{1,3}0\W{1,3}role",  # pydantic: the first message has the system role
)

REPLY_TOO_SHORT: Final = _any(
    r"could not finish the message because max_tokens",  # OpenAI's reasoning models
    r"try again with (a )?higher max_(completion_)?tokens",
    r"max_\w{0,20}tokens.{0,20}(greater|larger|more|higher) than.{0,20}(thinking|reasoning)",
)

REPLY_LIMIT: Final = r"max_(?:completion_|output_|new_)?tokens"
REPLY_TOO_LONG: Final = _any(
    REPLY_LIMIT
    + r"\W.{0,40}(too (large|high|big|long)|must be|should be|at most|less than|cannot be)",
    r"range of " + REPLY_LIMIT,  # DashScope
    r"maximum tokens you requested exceeds",  # Bedrock
)

REFUSES: Final = _any(
    r"un(supported|recognized|known|expected|permitted)",
    r"not (support|permit|allow|implement|accept)",
    r"(does|do|is|are)(n['’]t| not) (support|allow|accept|available)|extra (inputs|fields)",
    r"extra_forbidden|extraneous|invalid (parameter|argument|field|key|property|value)",
    r"cannot find field|additional propert|deprecated|only the default|no such (field|parameter)",
    r"\binvalid\b|(may|can|must) only be|must be (1|false)\b|only .{0,30}(allowed|accepted)",
    r"disabled|not (enabled|defined)|cannot (both )?be (specified|used|set)",
    r"must be verified|\brange\b|(less|greater) than or equal|must be between",
    r"not a (valid|known) (parameter|field|argument)|removed",
)
"""How servers refuse a field of a request. The field's name must be among the words as well."""

NAMELESS_REFUSAL: Final = _any(
    r"extra inputs are not permitted|extra_forbidden|additional properties|unsupported parameter",
    r"unrecognized request argument|unknown (parameter|field)s?\b",
)
"""A refusal that is about some field, whichever."""

WINDOW_FULL: Final = _any(
    # OpenAI, Groq, llama.cpp, OpenRouter, LiteLLM: codes and types
    r"context_length_exceeded|exceed_context_size|ContextWindowExceeded|tokens_limit_reached",
    r"model_max_prompt_tokens_exceeded|string_above_max_length|request_too_large",
    r"(prompt|input|context|request)[ _-]?too[ _-]?(long|large|big)",
    # any maker: tokens and the context in one breath
    r"\btokens?\b.{0,80}\bcontext\b|\bcontext\b.{0,80}\btokens?\b",
    # OpenAI, vLLM, Aphrodite, DeepSeek, SGLang, Together, Fireworks, OpenRouter, NIM
    r"max\w* (context|model|prompt|sequence|input) (length|window|size)|model['’]s context length",
    # llama.cpp, llamafile, LocalAI, Jan, llama-cpp-python, GPT4All, MiniMax, Cloudflare, Anthropic
    r"(context|ctx)[ _-]?(size|window|length|limit).{0,40}(exceed|overflow|full|too|enough|reach)",
    r"(exceed|overflow|longer|greater|larger|beyond|than|too \w+|fit).{0,60}(context|\bn?_?ctx)",
    r"context (the )?overflow|context shift|reached context|context is full|\bKV (cache|size)",
    # Anthropic, Bedrock, Fireworks, Ollama, Perplexity, Replicate
    r"(prompt|input|message|conversation|history|request|query|text|content|sequence|string)s?"
    r"\W{1,2}(\w+ ){0,5}(too (long|large|big)|longer than|larger than|exceeds?\b)",
    r"shorten(ing)? (your|the) |less than \d+ tokens",
    r"too many (input |prompt |total )?tokens|prompt too (long|big|large)",
    # TGI, Together
    r"`?inputs`?( tokens)? .{0,30}must (be|have)",
    # Gemini, Vertex, Azure, Cohere, Copilot, Moonshot, TabbyAPI, TensorRT-LLM, AI21, DashScope
    r"tokens? (count|limit).{0,60}(exceed|support|maximum|allowed|too|limit)",
    r"\btokens?\W.{0,30}exceed|expected maxLength|`?max_length`?",
    r"(input|prompt) (tokens?|length).{0,40}(exceed|greater|longer|more|above|maximum|configured)",
    r"exceed\w* (the )?(model['’]?s? )?(max\w* )?(token|input|prompt|length)",
    r"(prompt|input)\b.{0,40}tokens?\b.{0,40}(more than|above|over|exceed|maximum|limit)",
    r"range of input length|max_seq_len|too large for model|reduce the (length|size|number)",
    # GitHub Models
    r"request body too large",
    # Zhipu, Qianfan and others in China
    r"超长|超限|过长|上下文|超过.{0,8}(长度|限制)|超出.{0,8}(长度|限制|上下文)",
)

FILTERED: Final = _any(
    r"content[ _-]?(filter|management|moderation|safety|policy|polici)|ResponsibleAI|flagged",
    r"moderation|inappropriate|data_inspection|safety (system|filter|setting|reason|polic)",
    r"guardrail|prohibited|sensitive (content|word|information)|harmful",
    r"blocked (by|due|for|because)",
    r"violat\w+.{0,60}(polic|terms|guideline|rule)|敏感|违规|不安全",
)

NO_MODEL: Final = _any(
    r"model\b.{0,120}?(not found|(not|doesn['’]t) exist|not loaded|unavailable)",
    r"no models? (is |are )?(loaded|found|available)|invalid[ _]model|unknown model|no such model",
    r"not a valid model|model_not_found|model_not_exist|模型不存在|(no|not) access to (the )?model",
)

BROKEN: Final = _any(
    r"(model|process|runner|engine|worker)\b.{0,30}\b(crash|terminated|unloaded|died|is dead)",
)
"""LM Studio (with status 400), Ollama, vLLM."""

WRONG_PATH: Final = _any(
    r"unexpected endpoint or method|no route matched|cannot (POST|GET) /",
    r"unknown (url|endpoint|path)|invalid url|route \S+ not found|no such (route|endpoint)",
)
"""LM Studio (with status 200), Kong, Express, OpenAI."""

PARAMS_OF_REPLY: Final = frozenset({"max_tokens", "max_completion_tokens", "max_output_tokens"})


def meaning_of(report: ErrorReport, params: frozenset[str] = frozenset()) -> Meaning:
    """Return what an error means. `params`: the fields of the request that may be left out."""
    for find in (_about_access, _about_rate, _about_request):
        meaning = find(report, params)
        if meaning is not None:
            return meaning
    return Meaning.UNKNOWN


def refused_param(report: ErrorReport, params: frozenset[str]) -> str:
    """Return which of these fields of a request an error names first; empty if it names none."""
    if report.param in params:
        return report.param
    found = {}
    for name in params:
        # "stream" is also refused as "streaming"; neither is a part of "stream_options"
        pattern = rf"\b{re.escape(name)}(ing)?\b" if name == "stream" else rf"\b{re.escape(name)}\b"
        if (place := re.search(pattern, report.words, re.IGNORECASE)) is not None:
            found[name] = place.start()
    return min(found, key=lambda name: found[name], default="")


def rate_numbers(words: str) -> tuple[int, int] | None:
    """Return how many tokens are allowed in a minute, and how many a request needs, if told."""
    for pattern in RATE_NUMBERS:
        if (found := pattern.search(words)) is not None:
            return int(found["limit"]), int(found["asked"])
    return None


def _about_access(report: ErrorReport, _: frozenset[str]) -> Meaning | None:
    words, status = report.words, report.status
    if WANTS_TLS.search(words):
        return Meaning.WANTS_TLS
    if WRONG_PATH.search(words):
        return Meaning.WRONG_PATH
    if status == 401 or (status in {400, 403, None} and WRONG_KEY.search(words)):
        return Meaning.WRONG_KEY
    if status == 402 or (NO_CREDIT.search(words) and not RETRY_TOLD.search(words)):
        return Meaning.NO_CREDIT
    return None


def _about_rate(report: ErrorReport, _: frozenset[str]) -> Meaning | None:
    words = report.words
    if not (report.status == 429 or BUSY.search(words)):
        return None
    numbers = rate_numbers(words)
    if numbers is not None and numbers[1] > numbers[0]:
        return Meaning.ABOVE_RATE
    # one that is to be sent again later is not too large
    if TOO_LARGE_FOR_RATE.search(words) and not RETRY_TOLD.search(words):
        return Meaning.ABOVE_RATE
    return Meaning.BUSY


def _about_request(report: ErrorReport, params: frozenset[str]) -> Meaning | None:
    words, status = report.words, report.status
    may_lack_model = status in {400, 404, 422, None} or report.in_answer
    if NO_SYSTEM_ROLE.search(words):
        return Meaning.NO_SYSTEM_ROLE
    if REPLY_TOO_SHORT.search(words):
        return Meaning.REPLY_TOO_SHORT
    if _refuses_param(report, params):
        return Meaning.PARAMETER
    if FILTERED.search(words):
        return Meaning.FILTERED
    if BROKEN.search(words):
        return Meaning.BROKEN
    # with 431 the header is too large
    is_full = status != 431 and WINDOW_FULL.search(words) is not None
    if report.param in PARAMS_OF_REPLY or (REPLY_TOO_LONG.search(words) and not is_full):
        return Meaning.REPLY_TOO_LONG
    if report.param == "input_tokens" or is_full:  # vLLM names the parameter
        return Meaning.WINDOW_FULL
    if may_lack_model and NO_MODEL.search(words):
        return Meaning.NO_MODEL
    return None


def _refuses_param(report: ErrorReport, params: frozenset[str]) -> bool:
    if not REFUSES.search(report.words):
        return False
    name = refused_param(report, params)
    if not name:
        return NAMELESS_REFUSAL.search(report.words) is not None
    if name in PARAMS_OF_REPLY:
        # "max_tokens must be less than or equal to 4096" is about the number, not the field
        return _ABOUT_NUMBER.search(report.words) is None
    return True


_ABOUT_NUMBER: Final = _any(
    r"too (large|high|big|long)|less than|at most|\brange\b|must be between|maximum|greater than"
)
