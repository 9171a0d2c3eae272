"""Models that think aloud: never in the reply, the deltas or the history."""

from typing import Any, Final

from tests.contract.answers.shape import SAID, SECRET, Prepared, Shape, choice, chunk, stream, whole

HELLO = "Hello."
_BUDGET: Final = {"max_tokens_above": 64}

# name, what the model writes (each a delta)
_WRITTEN: Final[list[tuple[str, list[str]]]] = [
    ("tags in deltas of their own", ["<think>", SECRET, "</think>", HELLO]),
    ("tags split anywhere", ["<th", "ink>\n", SECRET[:3], SECRET[3:], "</", "thin", "k>", "\n\n", HELLO]),
    ("one character at a time", list(f"<think>{SECRET}</think>\n{HELLO}")),
    ("all in one delta", [f"<think>\n{SECRET}\n</think>\n\n{HELLO}"]),
    ("no thoughts inside", ["<think>\n\n</think>\n\n", HELLO]),
    ("no first tag", [SECRET, "\n</think>\n\n", HELLO]),
    ("no first tag, in one delta", [f"{SECRET}</think>{HELLO}"]),
    ("a blank before the tag", ["\n <think>", SECRET, "</think>", HELLO]),
    ("<thinking>", ["<thinking>", SECRET, "</thinking>", HELLO]),
    ("<thought>", ["<thought>", SECRET, "</thought>", HELLO]),
    ("<reasoning>", ["<reasoning>", SECRET, "</reasoning>", HELLO]),
    ("upper case", ["<THINK>", SECRET, "</THINK>", HELLO]),
    ("Magistral", ["[THINK]", SECRET, "[/THINK]", HELLO]),
    ("Kimi", ["◁think▷", SECRET, "◁/think▷", HELLO]),
    ("Seed", ["<seed:think>", SECRET, "</seed:think>", HELLO]),
    ("Cohere", ["<|START_THINKING|>", SECRET, "<|END_THINKING|>", HELLO]),
    ("gpt-oss", ["<|channel|>analysis<|message|>", SECRET, "<|end|><|start|>assistant<|channel|>final<|message|>", HELLO]),
    ("two thoughts", [f"<think>{SECRET}</think>", "Hel", f"<think>{SECRET}</think>", "lo."]),
    ("the tag twice at the end", [f"<think>{SECRET}</think></think>", HELLO]),
]

# name, chunks
_FIELDS: Final[list[tuple[str, list[Any]]]] = [
    ("reasoning_content", [chunk(None, None, reasoning_content=SECRET), chunk(HELLO, "stop")]),
    ("reasoning_content, content null", [{"choices": [choice({"content": None, "reasoning_content": SECRET})]}, chunk(HELLO, "stop")]),
    ("reasoning", [chunk("", None, reasoning=SECRET), chunk(HELLO, "stop")]),
    ("reasoning twice", [chunk("", None, reasoning=SECRET, reasoning_details=[{"type": "reasoning.text", "text": SECRET}]), chunk(HELLO, "stop")]),
    ("thinking", [chunk("", None, thinking=SECRET), chunk(HELLO, "stop")]),
    ("reasoning_text", [chunk("", None, reasoning_text=SECRET), chunk(HELLO, "stop")]),
    ("an object", [chunk("", None, reasoning={"content": SECRET}), chunk(HELLO, "stop")]),
    ("parts of Mistral", [chunk([{"type": "thinking", "thinking": [{"type": "text", "text": SECRET}]}]), chunk([{"type": "text", "text": HELLO}], "stop")]),
    ("parts of Anthropic", [chunk([{"type": "thinking", "thinking": SECRET}, {"type": "text", "text": HELLO}], "stop")]),
    ("hidden parts", [chunk([{"type": "redacted_thinking", "data": SECRET}, {"type": "text", "text": HELLO}], "stop")]),
    ("parts of reasoning", [chunk([{"type": "reasoning", "text": SECRET}]), chunk([{"text": HELLO}], "stop")]),
    ("one part alone", [chunk({"type": "thinking", "thinking": SECRET}), chunk({"type": "text", "text": HELLO}, "stop")]),
    ("Gemini's mark", [chunk(SECRET, None, extra_content={"google": {"thought": True}}), chunk(HELLO, "stop")]),
]


def _eats(*chunks: Any) -> list[Prepared]:
    """The model spends a short budget on thoughts; with a longer one it answers."""
    longer = stream(chunk(None, None, reasoning_content=SECRET), chunk(HELLO, "stop"), to=_BUDGET)
    return [longer, stream(*chunks)]


REASONING: Final = [
    *(Shape(f"{name}: hidden", [stream(*map(chunk, written), chunk("", "stop"))], HELLO) for name, written in _WRITTEN),
    *(Shape(f"{name}: hidden", [stream(*chunks)], HELLO) for name, chunks in _FIELDS),
    Shape("a whole completion with thoughts", [whole({"content": HELLO, "reasoning_content": SECRET})], HELLO),
    Shape("a whole completion with tags", [whole({"content": f"<think>{SECRET}</think>{HELLO}"})], HELLO),
    Shape("thoughts slowly, without a first tag", [stream(chunk(SECRET), chunk(" and"), chunk("</think>"), chunk(HELLO, "stop"), pause_ms=30)], HELLO, settings={"model": "deepseek-r1"}),
    Shape(
        "thoughts slowly, and a server that tells its template's end",
        [
            stream(chunk(SECRET), chunk(" and"), chunk("</think>"), chunk(HELLO, "stop"), pause_ms=400),
            {"endpoint": "tokenize", "media_type": "application/json", "parts": ['{"count":3,"tokens":[1,2,3],"token_strs":["assistant","<think>","\\n"]}']},
        ],
        HELLO,
    ),
    Shape("a tag that is spoken of", [stream(chunk("Write `</think>` there.", "stop"))], "Write `</think>` there."),
    Shape("less than", [stream(chunk("3 < 5 and <b>"), chunk("bold</b>", "stop"))], "3 < 5 and <b>bold</b>"),
    Shape("an open end", [stream(chunk("I mean <th"), chunk("", "stop"))], "I mean <th"),
    Shape("kept by a setting", [stream(chunk("<think>why</think>"), chunk(HELLO, "stop"))], HELLO, reasoning="why", settings={"keep_reasoning": True}),
    Shape("a field kept by a setting", [stream(chunk(None, None, reasoning="why"), chunk(HELLO, "stop"))], HELLO, reasoning="why", settings={"keep_reasoning": True}),
    Shape("the budget eaten, then more", _eats(chunk(None, None, reasoning_content=SECRET), chunk("", "length")), HELLO, tries=2),
    Shape("the budget eaten by an open tag", _eats(chunk(f"<think>{SECRET}"), chunk("", "length")), HELLO, tries=2),
    Shape("the budget eaten out of sight", _eats(chunk("", "length")), HELLO, tries=2),
    Shape(
        "the budget too low, with 400",
        [
            stream(chunk(HELLO, "stop"), to=_BUDGET),
            {
                "status": 400,
                "media_type": "application/json",
                "parts": ['{"error":{"message":"Could not finish the message because max_tokens or model output limit was reached. Please try again with higher max_tokens."}}'],
            },
        ],
        HELLO,
        tries=2,
    ),
    Shape("the budget always eaten", [stream(chunk(None, None, reasoning_content=SECRET), chunk("", "length"))], error=["EARSHOT_LLM__MAX_TOKENS", "reasoning"]),
    Shape("thoughts and no answer", [stream(chunk(None, None, reasoning_content=SECRET), chunk("", "stop"))], error=["reasoning", "EARSHOT_LLM__EXTRA_BODY"]),
    Shape("an open tag and no answer once", [stream(chunk(f"<think>{SECRET}"), chunk("", "stop"), count=1)], SAID),
]
