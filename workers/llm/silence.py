"""Replies without a word: why there was none, in a sentence, if the server has given a sign."""

from workers.llm.answers.finished import Finished
from workers.llm.meanings.explainer import SPEND_LESS


def explain_silence(finished: Finished, max_tokens: int) -> str | None:
    """Return why a reply has no word; None if nothing tells.

    `max_tokens` is how many tokens it might have.
    """
    if finished.finish_reason == "length":
        return (
            f"the model used up all {max_tokens} tokens of the reply for its reasoning and said"
            f" nothing: {SPEND_LESS}"
        )
    if finished.calls_tool or finished.finish_reason == "tool_calls":
        names = f" ({', '.join(finished.tools[:5])})" if finished.tools else ""
        return (
            f"the model called a tool{names} instead of an answer, and earshot offers none: tell it"
            " in the persona's prompt to answer in words, or serve another model"
        )
    if finished.thought:
        return (
            "the model's answer holds only reasoning and no text: switch reasoning off in"
            " EARSHOT_LLM__EXTRA_BODY, or correct the server's setting for reasoning"
        )
    return None
