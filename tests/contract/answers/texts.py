"""Text and counts of odd shapes: no word is lost, and nothing is a Python error."""

from typing import Any, Final

from tests.contract.answers.shape import Shape, chunk, events, stream

HI = "Hello there."
_USAGES: Final[list[Any]] = [
    None,
    "many",
    [],
    [1, 2],
    {"prompt_tokens": None, "completion_tokens": "5", "total_tokens": [7]},
    {"prompt_tokens": {"cached": 3}},
    {"prompt_tokens": -1, "completion_tokens": 1.5},
    {"prompt_tokens": 1e400},
    True,
]

TEXTS: Final = [
    *(Shape(f"usage {usage!r}", [stream(chunk("Hello "), chunk("there.", "stop") | {"usage": usage})], HI) for usage in _USAGES),
    Shape(
        "a pair in two chunks",
        [stream(r'data: {"choices":[{"delta":{"content":"Hi \ud83d"}}]}' + "\n\n", r'data: {"choices":[{"delta":{"content":"\ude00!"},"finish_reason":"stop"}]}' + "\n\n")],
        "Hi \U0001f600!",
    ),
    Shape(
        "a pair with nothing between",
        [stream(r'data: {"choices":[{"delta":{"content":"Hi \ud83d"}}]}' + "\n\n", chunk(""), r'data: {"choices":[{"delta":{"content":"\ude00!"},"finish_reason":"stop"}]}' + "\n\n")],
        "Hi \U0001f600!",
    ),
    Shape("half a pair", [stream(r'data: {"choices":[{"delta":{"content":"Hi \ud83d"},"finish_reason":"stop"}]}' + "\n\n")], "Hi ?"),
    Shape("the wrong half", [stream(r'data: {"choices":[{"delta":{"content":"\ude00Hi."},"finish_reason":"stop"}]}' + "\n\n")], "?Hi."),
    Shape("a byte order mark", [{"parts": ["\ufeff" + "".join(events(chunk("Hello "), chunk("there.", "stop")))]}], HI),
    Shape("a byte order mark before JSON", [{"media_type": "application/json", "parts": ['\ufeff{"choices":[{"message":{"content":"Hello there."},"finish_reason":"stop"}]}']}], HI),
    Shape("a byte order mark in the text", [stream(chunk("\ufeffHello "), chunk("there.", "stop"))], HI),
    Shape("line ends of Windows", [{"parts": events(chunk("Hello "), chunk("there.", "stop"), end="\r\n\r\n")}], HI),
    Shape("line ends of old Macs", [{"parts": events(chunk("Hello "), chunk("there.", "stop"), end="\r\r")}], HI),
    Shape("single line ends", [{"parts": events(chunk("Hello "), chunk("there.", "stop"), end="\n")}], HI),
    Shape("no blank after data:", [{"parts": [part.replace("data: ", "data:") for part in events(chunk("Hello "), chunk("there.", "stop"))]}], HI),
    Shape("comments between", [stream(": OPENROUTER PROCESSING\n\n", ":\n\n", chunk("Hello "), ": ping\n\n", chunk("there.", "stop"))], HI),
    Shape("names of events", [stream("event: message\nid: 1\nretry: 10\n", chunk("Hello "), chunk("there.", "stop"))], HI),
    Shape("data in two lines", [stream('data: {"choices":\ndata: [{"delta":{"content":"Hello there."},"finish_reason":"stop"}]}\n\n')], HI),
    Shape("data twice", [stream('data: data: {"choices":[{"delta":{"content":"Hello there."},"finish_reason":"stop"}]}\n\n')], HI),
    Shape("no line end at the end", [{"parts": ["".join(events(chunk("Hello "), chunk("there.", "stop"), done=False)).rstrip("\n")]}], HI),
    Shape("[DONE] in lower case", [{"parts": [*events(chunk("Hello "), chunk("there."), done=False), "data: [done]\n\n"]}], HI),
    Shape("a line separator in the text", [stream(chunk("Hello\u2028"), chunk("there.", "stop"))], "Hello\u2028there."),
    Shape("chunks after [DONE]", [stream(chunk("Hello "), chunk("there.", "stop"), "data: [DONE]\n\n", chunk("more"))], HI),
    Shape("choices null, then text", [stream({"choices": None}, {"choices": []}, {"choices": [None]}, chunk(HI, "stop"))], HI),
    Shape("choices an object", [stream({"choices": {"index": 0, "delta": {"content": HI}, "finish_reason": "stop"}})], HI),
    Shape("delta null, then text", [stream({"choices": [{"delta": None}]}, chunk(HI, "stop"))], HI),
    Shape("delta a text", [stream({"choices": [{"delta": HI, "finish_reason": "stop"}]})], HI),
    Shape("content a number", [stream(chunk(42), chunk(" it is.", "stop"))], "42 it is."),
    Shape("parts of the text", [stream(chunk(["Hello ", {"text": "there."}], "stop"))], HI),
    Shape("parts within parts", [stream(chunk([{"type": "output_text", "text": {"value": HI}}], "stop"))], HI),
    Shape("model and id of odd types", [stream({"id": 7, "model": ["x"], "created": "now", "choices": [{"delta": {"content": HI}, "finish_reason": "stop"}]})], HI),
    Shape(
        "a list of chunks", [{"media_type": "application/json", "parts": ['[{"choices":[{"delta":{"content":"Hello "}}]},\n{"choices":[{"delta":{"content":"there."},"finish_reason":"STOP"}]}]']}], HI
    ),
]
