"""Errors of all other kinds: each with the sentence that a person needs, never a Python error."""

from typing import Any, Final

from tests.contract.answers.shape import SAID, Shape, chunk, refusal, stream

_JINJA = "\n------------\nWhile executing CallExpression at line 1, column 70 in source:\n" + "{{ bos_token }}{% if messages[0]['role'] == 'system' %}" * 20
_NO_SYSTEM: Final[list[tuple[str, int, Any]]] = [
    ("llama.cpp", 500, {"error": {"code": 500, "message": _JINJA + "\nError: Jinja Exception: System role not supported", "type": "server_error"}}),
    ("only three roles", 400, {"error": {"message": "Only user, assistant and tool roles are supported, got system."}}),
    ("vLLM, Mistral", 400, {"object": "error", "message": "Conversation roles must alternate user/assistant/user/assistant/...", "type": "BadRequestError", "code": 400}),
    ("llama.cpp, Mistral", 500, {"error": {"code": 500, "message": "Jinja Exception: After the optional system message, conversation roles must alternate user/assistant/user/assistant/..."}}),
    ("only user and assistant", 400, {"detail": "Only user and assistant roles are supported!"}),
    ("pydantic", 422, {"detail": [{"type": "literal_error", "loc": ["body", "messages", 0, "role"], "msg": "Input should be 'user' or 'assistant'", "input": "system"}]}),
    (
        "Anthropic",
        400,
        {
            "type": "error",
            "error": {
                "type": "invalid_request_error",
                "message": 'messages: Unexpected role "system". The Messages API accepts a top-level `system` parameter, not "system" as an input message role.',
            },
        },
    ),
    ("o1", 400, {"error": {"message": "Unsupported value: 'messages[0].role' does not support 'system' with this model.", "param": "messages[0].role", "code": "unsupported_value"}}),
    ("Gemma at Google", 400, [{"error": {"code": 400, "message": "Developer instruction is not enabled for models/gemma-3-27b-it", "status": "INVALID_ARGUMENT"}}]),
    ("TemplateError", 500, {"error": {"message": "jinja2.exceptions.TemplateError: System role not supported"}}),
    ("a system message", 400, {"error": "This model does not support system messages"}),
    ("Bedrock", 400, {"message": "This model doesn't support system messages. Try again without a system message or use a model that supports system messages."}),
]

OTHER_ERRORS: Final = [
    *(Shape(f"{name}: no system role", [refusal(status, body, to={"role": "system"})], SAID, roles=["user"]) for name, status, body in _NO_SYSTEM),
    Shape("no system role, in the stream", [stream({"error": {"message": "Jinja Exception: System role not supported"}}, done=False, to={"role": "system"})], SAID, roles=["user"]),
    Shape("flagged input", [refusal(403, {"error": {"code": 403, "message": "Input was flagged", "metadata": {"reasons": ["violence"]}}})], error=["Input was flagged"]),
    Shape(
        "Azure's filter",
        [
            refusal(
                400,
                {
                    "error": {
                        "message": "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
                        "param": "prompt",
                        "code": "content_filter",
                        "innererror": {"code": "ResponsibleAIPolicyViolation"},
                    }
                },
            )
        ],
        error=["content management policy"],
    ),
    Shape("DashScope's filter", [refusal(400, {"error": {"code": "data_inspection_failed", "message": "Input data may contain inappropriate content."}})], error=["inappropriate content"]),
    Shape("a filter in the stream", [stream(chunk("Well"), {"error": {"message": "Output was blocked by the safety system", "code": None}})], error=["safety system"]),
    Shape("the engine is dead, in the stream", [stream(chunk("Well"), {"error": {"message": "EngineCore encountered an issue.", "code": 500}})], error=["EngineCore"]),
    Shape(
        "the provider is gone, in the stream",
        [stream({"id": "x", "error": {"code": "server_error", "message": "Provider disconnected"}, "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}]})],
        error=["Provider disconnected"],
    ),
    Shape("an error that comes once", [refusal(500, {"error": "crashed"}, count=1)], SAID),
    Shape("an error that is null", [stream({"error": None, "choices": [{"delta": {"content": "Hi."}, "finish_reason": "stop"}]})], "Hi."),
    Shape("an error that is empty", [stream({"error": {}, "choices": [{"delta": {"content": "Hi."}, "finish_reason": "stop"}]})], "Hi."),
    Shape("an error that is true", [refusal(500, {"error": True})], error=["500"]),
    Shape("an error that is a number", [refusal(400, {"error": 17})], error=["17"]),
    Shape("an error deep inside", [refusal(400, {"error": {"error": {"error": {"message": "too odd"}}}})], error=["too odd"]),
    Shape("detail is a list of nothing", [refusal(422, {"detail": []})], error=["422"]),
    Shape("detail is a list of objects", [refusal(422, {"detail": [{"loc": ["body", "x"], "msg": "field is odd", "type": "odd"}]})], error=["field is odd"]),
    Shape("an error in JSON that is cut", [refusal(400, '{"error": {"message": "no good')], error=["no good"]),
    Shape("200 with an error of the server", [refusal(200, {"error": {"message": "The model crashed.", "code": 500}})], error=["The model crashed."]),
    Shape("200 with an error as text", [{"parts": ["Internal error: the model crashed"], "media_type": "text/plain"}], error=["the model crashed"]),
    Shape("200 with Ollama's error", [refusal(200, {"error": "llama runner process has terminated: exit status 2"})], error=["llama runner"]),
    Shape("success false", [refusal(200, {"code": 500, "msg": "service is unwell", "success": False})], error=["service is unwell"]),
    Shape("an error with control characters", [refusal(400, {"error": {"message": "bad\x1b[31m\u202e one"}})], error=["bad"]),
    Shape("a chunk that is no JSON", [stream("data: {not json\n\n", done=False)], error=["no JSON"]),
    Shape("a chunk that is cut off", [stream(chunk("Well"), 'data: {"choices":[{"del', done=False)], error=["no JSON"]),
    Shape("a chunk that is damaged", [stream(chunk("Well"), 'data: {"choices":[{"del\n\n', chunk("", "stop"))], error=["no JSON"]),
    Shape("words between the chunks", [stream(chunk("Hi."), "keep alive\n\n", chunk("", "stop"))], "Hi."),
    Shape("a status nobody knows", [refusal(529, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, count=1)], SAID),
    Shape(
        "no such model, with 400",
        [
            refusal(
                400,
                {
                    "error": {
                        "message": "litellm.BadRequestError: Invalid model name passed in model=m. Call `/v1/models` to view available models for your key.",
                        "type": "None",
                        "param": "None",
                        "code": "400",
                    }
                },
            )
        ],
        waits=["Invalid model name", "EARSHOT_LLM__MODEL"],
    ),
    Shape(
        "no such model at DeepSeek",
        [refusal(400, {"error": {"message": "Model Not Exist", "type": "invalid_request_error", "param": None, "code": "invalid_request_error"}})],
        waits=["Model Not Exist", "EARSHOT_LLM__MODEL"],
    ),
    Shape("no such model at Ollama", [refusal(404, {"error": {"message": "model 'm' not found", "type": "not_found_error"}})], waits=["not found", "EARSHOT_LLM__MODEL"]),
    Shape(
        "no model is loaded",
        [refusal(404, {"error": {"message": "No models loaded. Please load a model in the developer page or use the 'lms load' command.", "code": "model_not_found"}})],
        waits=["No models loaded"],
    ),
    Shape("no such model at OpenRouter", [refusal(400, {"error": {"message": "m is not a valid model ID", "code": 400}})], waits=["not a valid model ID", "EARSHOT_LLM__MODEL"]),
    Shape(
        "a wrong key with 400",
        [refusal(400, [{"error": {"code": 400, "message": "API key not valid. Please pass a valid API key.", "status": "INVALID_ARGUMENT"}}])],
        waits=["API key not valid", "EARSHOT_LLM__API_KEY"],
    ),
    Shape("a wrong key in the stream", [stream({"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}})], waits=["Incorrect API key", "EARSHOT_LLM__API_KEY"]),
    Shape("an empty purse", [refusal(402, {"error": {"message": "Insufficient Balance"}})], waits=["Insufficient Balance"]),
    Shape("an empty purse with 400", [refusal(400, {"error": {"message": "Your credit balance is too low to access the API."}})], waits=["credit balance"]),
    Shape("TLS is asked for", [refusal(400, "<html><center>The plain HTTP request was sent to HTTPS port</center></html>")], waits=["https://"]),
    Shape("a wrong page with 400", [refusal(400, "<html><h1>Bad Request</h1></html>")], waits=["EARSHOT_LLM__BASE_URL"]),
]
