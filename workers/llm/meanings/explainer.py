"""Explanations of a server's errors: for each one sentence that says what to do next.

`error_meanings.py` says what an error is about. Where its words say nothing, the status decides.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from common.errors import Busy, Permanent, Transient
from workers.llm.meanings.error_meanings import Meaning, meaning_of, refused_param
from workers.llm.meanings.error_report import ErrorReport
from workers.llm.meanings.errors import (
    ContextTooLong,
    NoSuchModel,
    ParameterRefused,
    ReplyTooLong,
    ReplyTooShort,
    SystemRoleRefused,
    WrongPath,
)
from workers.llm.meanings.finish_reasons import KNOWN, End
from workers.llm.meanings.finish_reasons import meaning_of as end_of
from workers.llm.meanings.token_numbers import TokenNumbers, numbers_in, numbers_of_rate

WRONG_ADDRESS: Final = "check EARSHOT_LLM__BASE_URL, which ends in /v1 for most servers"
SPEND_LESS: Final = (
    "set EARSHOT_LLM__MAX_TOKENS and EARSHOT_LLM__MIN_TOKENS higher, or less reasoning in"
    " EARSHOT_LLM__EXTRA_BODY"
)


@dataclass(frozen=True, slots=True)
class Explainer:
    """Explains the errors of one server. `address`: its base URL without a password."""

    address: str
    has_key: bool = False

    def explain(
        self,
        report: ErrorReport,
        *,
        model: str = "",
        reply: int = 0,
        optional: frozenset[str] = frozenset(),
    ) -> Transient | Permanent:
        """Return what an error means, for a request to `model` for so many tokens of a reply.

        `optional` are the fields that the request can do without.
        """
        said, server = report.said, f"the LLM server at {self.address}"
        match meaning_of(report, optional):
            case Meaning.WANTS_TLS:
                return Transient(
                    f"{server} wants TLS ({said}): write https:// in EARSHOT_LLM__BASE_URL"
                )
            case Meaning.WRONG_KEY:
                return Transient(
                    f"{server} refuses the API key ({said}): set EARSHOT_LLM__API_KEY"
                    if self.has_key
                    else f"{server} asks for an API key ({said}): set EARSHOT_LLM__API_KEY"
                )
            case Meaning.NO_CREDIT:
                return Transient(f"the account at {server} is used up ({said})")
            case Meaning.BUSY:
                return Busy(
                    f"{server} takes no more requests now ({said})",
                    retry_after=report.retry_after,
                )
            case Meaning.ABOVE_RATE:
                return ContextTooLong(
                    f"the request needs more tokens than {server} allows in a minute ({said}): say"
                    " less at once, or raise the limit of the account",
                    numbers_of_rate(report.words, reply),
                    is_rate=True,
                )
            case Meaning.NO_SYSTEM_ROLE:
                return SystemRoleRefused(f"the model takes no system prompt ({said})")
            case Meaning.REPLY_TOO_SHORT:
                return ReplyTooShort(
                    f"the model used up all tokens of the reply for its reasoning ({said}):"
                    f" {SPEND_LESS}"
                )
            case Meaning.PARAMETER:
                return ParameterRefused(
                    f"{server} refuses a field of the request ({said})",
                    refused_param(report, optional),
                )
            case Meaning.REPLY_TOO_LONG:
                return ReplyTooLong(
                    f"{server} cannot give replies of this length ({said}): set"
                    " EARSHOT_LLM__MAX_TOKENS and EARSHOT_LLM__MIN_TOKENS lower",
                    numbers=[int(number) for number in re.findall(r"\d{1,9}", said)],
                )
            case Meaning.WINDOW_FULL:
                return self._too_long(said, numbers_in(report.words))
            case Meaning.FILTERED:
                return Permanent(
                    f"a content filter of {server} refuses the request ({said}): say it in other"
                    " words"
                )
            case Meaning.NO_MODEL:
                return NoSuchModel(
                    f"{server} does not have the model {model!r} ({said}): check EARSHOT_LLM__MODEL"
                )
            case Meaning.BROKEN:
                return Transient(
                    f"{server} fails ({said}): its own log says more",
                    opens_breaker=False,
                    broke_off=report.in_answer,
                )
            case Meaning.WRONG_PATH:
                return WrongPath(f"{server} has no such interface ({said}): {WRONG_ADDRESS}")
            case Meaning.UNKNOWN:
                return self._explain_status(report, model)

    def _explain_status(self, report: ErrorReport, model: str) -> Transient | Permanent:
        """Return what an error without telling words means."""
        status, said, server = report.status, report.said, f"the LLM server at {self.address}"
        match status:
            case 403:
                return Transient(
                    f"{server} forbids the request ({said}): check what EARSHOT_LLM__API_KEY is"
                    " allowed to do, and filters in front of the server"
                )
            case 404 | 405:
                return WrongPath(
                    f"{server} does not know the model {model!r} or the path ({said or status}):"
                    " check EARSHOT_LLM__MODEL and EARSHOT_LLM__BASE_URL, which ends in /v1 for"
                    " most servers"
                )
            case 407:
                return Transient(f"the proxy before {server} wants a password ({said})")
            case 413 if report.is_wordless or report.is_page:
                return self._too_long(said or "413 without a reason", None)
            case 400 | 422 if report.is_wordless:
                return self._too_long(f"{status} without a reason", None)
            case 400 | 422 if report.is_page:
                return WrongPath(f"{server} answers with a web page ({said}): {WRONG_ADDRESS}")
            case 400 | 413 | 422:
                return Permanent(f"{server} refuses the request ({said or status})")
            case 408 | 409 | 425 | None:
                return Transient(
                    f"{server} broke off ({said})",
                    retry_after=report.retry_after,
                    opens_breaker=False,
                    broke_off=report.in_answer,
                )
            case _:
                return Transient(
                    f"{server} fails with {status} ({said}): its own log says more"
                    if status >= 500
                    else f"{server} answers {status} ({said}): check EARSHOT_LLM__BASE_URL and the"
                    " account behind EARSHOT_LLM__API_KEY",
                    retry_after=report.retry_after,
                    # a server may fail for one request only, with 5xx or inside a stream
                    opens_breaker=status < 500 and not report.in_answer,
                    broke_off=report.in_answer,
                )

    def _too_long(self, said: str, numbers: TokenNumbers | None) -> ContextTooLong:
        if numbers is None:
            return ContextTooLong(
                f"the LLM server at {self.address} refuses the request, which may be too long"
                f" ({said}): its own log may say why",
                is_guess=True,
            )
        return ContextTooLong(
            f"what was said does not fit the model's window ({said}): say less at once, or serve"
            " the model with a larger one",
            numbers,
        )

    def explain_text(self, report: ErrorReport, kind: str) -> Transient | Permanent:
        """Return what an answer means that is a text, or a page: `kind` is its media type."""
        server = f"the LLM server at {self.address}"
        if report.is_page:
            return WrongPath(
                f"{server} answers with a web page ({kind or 'of no type'}) instead of a reply:"
                f" {WRONG_ADDRESS}"
            )
        if not _COMPLAINT.search(report.said) or report.said.startswith(("{", "[")):
            # its words may be speech
            return Transient(f"{server} sent a chunk that is no JSON", opens_breaker=False)
        return self.explain(report)

    def explain_missing_model(
        self, error: Transient, model: str, served: Sequence[str]
    ) -> Transient:
        """Return what a refused model name means at a server that lists its models."""
        return Transient(
            f"the LLM server at {self.address} has no model {model!r} ({error});"
            f" it lists {join_names(served)}: set EARSHOT_LLM__MODEL to one of them"
        )

    def check_end(self, reason: str, *, has_text: bool, is_whole: bool) -> str:
        """Return how a reply ended, as the event says it; raises Transient or Permanent.

        `reason` is the server's own, empty if it gave none; then the end of the answer is one, if
        there was text or the stream was ended properly (`is_whole`).
        """
        server = f"the LLM server at {self.address}"
        if not reason:
            if has_text or is_whole:
                return End.STOP.value
            raise Transient(
                f"{server} ended the reply without a finish reason",
                opens_breaker=False,
                broke_off=True,
            )
        end = end_of(reason)
        match end:
            case End.FILTERED:
                raise Permanent(
                    f"the content filter of {server} stopped the reply"
                    f" ({name_reason(reason)}): say it in other words"
                )
            case End.WINDOW_FULL:
                raise self._too_long(f"the reply ended with {name_reason(reason)}", TokenNumbers())
            case End.FAULT:
                raise self._fault(reason)
            case End.STOP if not has_text and not is_known_end(reason):
                raise self._fault(reason)
            case _:
                return str(end.value)

    def _fault(self, reason: str) -> Transient:
        return Transient(
            f"the LLM server at {self.address} ended the reply with {name_reason(reason)}",
            opens_breaker=False,
            # vLLM ends all replies with it when it shuts down
            broke_off=reason.lower() == "abort",
        )


def name_reason(reason: str) -> str:
    """Name a finish reason for people: a name is short, and anything else may hold speech."""
    return repr(reason) if re.fullmatch(r"[\w.-]{1,40}", reason) else "a reason that is no name"


def is_known_end(reason: str) -> bool:
    """Return whether a finish reason certainly means that the model had nothing more to say."""
    return reason in KNOWN or _CERTAIN_END.search(reason) is not None


_COMPLAINT: Final = re.compile(
    r"error|fail|exception|denied|unavailable|crash|refus|not (found|allowed)|invalid|exceed|limit",
    re.IGNORECASE,
)
"""An answer that is a text and has one of these words is an error."""

_CERTAIN_END: Final = re.compile(r"stop|end|eos|done|complete|finish", re.IGNORECASE)


def join_names(names: Sequence[str]) -> str:
    """Join names for a sentence; a long list is cut short."""
    shown = ", ".join(names[:20])
    return f"{shown} and {len(names) - 20} more" if len(names) > 20 else shown or "no model"
