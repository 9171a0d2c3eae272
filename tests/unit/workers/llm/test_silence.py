"""A reply without a word has a reason, in a sentence that names what to set, or none."""

from workers.llm.answers.finished import Finished
from workers.llm.silence import explain_silence


def test_reasons() -> None:
    spent = explain_silence(Finished("length", "m"), 320)
    assert spent is not None
    assert "all 320 tokens" in spent
    assert "EARSHOT_LLM__MAX_TOKENS" in spent
    tool = explain_silence(Finished("stop", "m", calls_tool=True, tools=("light", "radio")), 64)
    assert tool is not None
    assert "(light, radio)" in tool
    assert "EXTRA_BODY" in str(explain_silence(Finished("stop", "m", thought=True), 64))
    assert explain_silence(Finished("stop", "m"), 64) is None
