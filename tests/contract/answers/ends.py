"""The ends of replies: what counts as one, and what is a fault."""

from typing import Final

from tests.contract.answers.shape import Shape, choice, chunk, refusal, stream, whole

HI = "Hello there."

_TAKEN: Final = {
    "stop": ("end_turn", "stop_sequence", "eos_token", "eos", "STOP", "Stop", "COMPLETE", "done", "end", "finished", "normal", "FINISH_REASON_STOP", "eos_found"),
    "length": ("max_tokens", "MAX_TOKENS", "max_output_tokens", "max_length", "token_limit", "model_length", "LENGTH", "max_new_tokens", "FINISH_REASON_MAX_TOKENS"),
}

_FAULTS: Final = {
    "content_filter": "content filter",
    "SAFETY": "content filter",
    "RECITATION": "content filter",
    "content-filtered": "content filter",
    "guardrail_intervened": "content filter",
    "sensitive": "content filter",
    "error": "'error'",
    "network_error": "'network_error'",
    "insufficient_system_resource": "'insufficient_system_resource'",
    "MALFORMED_FUNCTION_CALL": "'MALFORMED_FUNCTION_CALL'",
}

ENDS: Final = [
    Shape("[DONE] without any reason", [stream(chunk(HI), chunk(""))], HI, finish_reason="stop"),
    Shape("an empty reason, then [DONE]", [stream(chunk(HI, ""), chunk("", ""))], HI),
    Shape("no field for a reason", [stream({"choices": [{"index": 0, "delta": {"content": HI}}]})], HI),
    Shape("function_call after text", [stream(chunk(HI, "function_call"))], HI),
    Shape("closed after text", [stream(chunk(HI), done=False)], HI, finish_reason="stop"),
    Shape("closed after a reason, no [DONE]", [stream(chunk(HI, "stop"), done=False)], HI),
    Shape("the reason false", [stream(chunk(HI, False))], HI),
    Shape("the reason a list", [stream(chunk(HI, ["stop"]))], HI),
    Shape("the reason an object", [stream(chunk(HI, {"type": "stop", "value": None}))], HI),
    Shape("the reason a number", [stream(chunk(HI, 1))], HI),
    Shape("a reason nobody knows", [stream(chunk(HI, "who_knows"))], HI, finish_reason="stop"),
    Shape("the reason before the text", [stream(chunk("", "stop"), chunk(HI))], HI),
    *(Shape(f"{name} is {meaning}", [stream(chunk(HI), chunk("", name))], HI, finish_reason=meaning) for meaning, names in _TAKEN.items() for name in names),
    *(Shape(f"{name} is a fault", [stream(chunk("Well, "), chunk("", name))], error=[phrase]) for name, phrase in _FAULTS.items()),
    Shape("context exceeded is shortened", [stream(chunk("Well, "), chunk("", "context_length_exceeded")) | {"to": {"messages_above": 2}}], rounds=3, reply="Certainly, at once."),
    Shape("Anthropic's context reason is shortened", [stream(chunk("So"), chunk("", "model_context_window_exceeded")) | {"to": {"messages_above": 2}}], rounds=3, reply="Certainly, at once."),
    Shape("a whole completion as JSON", [whole({"role": "assistant", "content": HI})], HI),
    Shape("a whole completion as one event", [stream({"object": "chat.completion", "choices": [{"message": {"content": HI}, "finish_reason": "stop"}]})], HI),
    Shape(
        "a whole completion in many lines", [{"media_type": "application/json", "parts": ['{\n "choices": [\n  {"message":', f' {{"content": "{HI}"}},\n', '  "finish_reason": "stop"}\n ]\n}\n']}], HI
    ),
    Shape("a whole completion under text/plain", [whole({"content": HI}) | {"media_type": "text/plain"}], HI),
    Shape("a whole completion without a type", [whole({"content": HI}) | {"media_type": ""}], HI),
    Shape("a whole completion as an event stream", [whole({"content": HI}) | {"media_type": "text/event-stream"}], HI),
    Shape("a whole completion cut at its limit", [whole({"content": HI}, "length")], HI, finish_reason="length"),
    Shape("a whole completion of parts", [whole({"content": [{"type": "text", "text": HI}]})], HI),
    Shape("a completion of the old kind", [stream({"choices": [{"text": HI, "finish_reason": "stop"}]})], HI),
    Shape(
        "lines of JSON",
        [{"media_type": "application/x-ndjson", "parts": ['{"choices":[{"delta":{"content":"Hello"}}]}\n', '{"choices":[{"delta":{"content":" there."},"finish_reason":"stop"}]}\n']}],
        HI,
    ),
    Shape(
        "deltas and the text so far",
        [
            stream(
                {"choices": [{"delta": {"content": "Hello"}, "message": {"content": "Hello"}}]}, {"choices": [{"delta": {"content": " there."}, "message": {"content": HI}, "finish_reason": "stop"}]}
            )
        ],
        HI,
    ),
    Shape("the whole text once more at the end", [stream(chunk("Hello"), chunk(" there."), {"choices": [{"message": {"content": HI}, "finish_reason": "stop"}]})], HI),
    Shape("two choices in a chunk", [stream({"choices": [choice({"content": HI}, "stop"), choice({"content": "Other."}, "stop", 1)]})], HI),
    Shape("two choices, the other first", [stream({"choices": [choice({"content": "Other."}, "length", 1), choice({"content": HI}, "stop")]})], HI, finish_reason="stop"),
    Shape(
        "two choices by turns",
        [
            stream(
                {"choices": [choice({"content": "Other"}, None, 1)]},
                {"choices": [choice({"content": "Hello"})]},
                {"choices": [choice({"content": " one."}, "length", 1)]},
                {"choices": [choice({"content": " there."}, "stop")]},
            )
        ],
        HI,
        finish_reason="stop",
    ),
    Shape("the only choice is number 1", [stream({"choices": [choice({"content": HI}, "stop", 1)]})], HI),
    Shape("a number as text", [stream({"choices": [{"index": "0", "delta": {"content": HI}, "finish_reason": "stop"}]})], HI),
    Shape(
        "a tool is called, and nothing said",
        [stream(chunk(None, None, tool_calls=[{"index": 0, "function": {"name": "turn_on", "arguments": ""}}]), chunk(None, "tool_calls"))],
        error=["tool", "turn_on"],
    ),
    Shape("the old way to call a tool", [stream(chunk(None, "function_call", function_call={"name": "turn_on", "arguments": "{}"}))], error=["tool", "turn_on"]),
    Shape("a tool without a name", [stream(chunk(None, "tool_use", tool_calls=[{}]))], error=["tool"]),
    Shape("tools of an odd shape", [stream(chunk(None, "tool_calls", tool_calls="turn_on"))], error=["tool"]),
    Shape("a whole completion that calls a tool", [whole({"content": None, "tool_calls": [{"function": {"name": "turn_on"}}]}, "tool_calls")], error=["tool", "turn_on"]),
    Shape("text and a tool", [stream(chunk(HI), chunk(None, "tool_calls", tool_calls=[{"function": {"name": "f"}}]))], HI),
    Shape("the refusal of a model", [stream(chunk(None, None, refusal="I cannot do that."), chunk(None, "stop"))], "I cannot do that."),
    Shape("nothing at all, then an answer", [stream(done=False, count=1)], "Certainly, at once.", rounds=2),
    Shape("the connection breaks", [stream(chunk("Well"), done=False, cut=True)], error=["closed the connection"]),
    Shape("the connection breaks once", [stream(chunk("Well"), done=False, cut=True, count=1)], "Certainly, at once."),
    Shape("empty with a history", [stream(chunk("", "stop")) | {"to": {"messages_above": 2}}], "Certainly, at once.", rounds=4),
    Shape("no choices with a history", [stream({"choices": []}) | {"to": {"messages_above": 2}}], "Certainly, at once.", rounds=4),
    Shape("a whole empty completion with a history", [whole({"content": ""}) | {"to": {"messages_above": 2}}], "Certainly, at once.", rounds=4),
    Shape("always empty", [stream(chunk("", "stop"))], "", rounds=2),
    Shape("a page of the web", [refusal(200, "<html>It works!</html>")], waits=["web page", "EARSHOT_LLM__BASE_URL"]),
]
