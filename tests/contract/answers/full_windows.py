"""Full windows: the history is shortened and the question asked again, whoever says it."""

from typing import Any, Final

from tests.contract.answers.shape import SAID, Prepared, Shape, long_prompt, refusal, stream

# maker or kind, status, body
_SAID: Final[list[tuple[str, int, Any]]] = [
    ("llama.cpp, 500", 500, {"error": {"code": 500, "message": "Context size has been exceeded.", "type": "server_error"}}),
    (
        "llama.cpp, 400",
        400,
        {
            "error": {
                "code": 400,
                "message": "request (6009 tokens) exceeds the available context size (4096 tokens), try increasing it",
                "type": "exceed_context_size_error",
                "n_prompt_tokens": 6009,
                "n_ctx": 4096,
            }
        },
    ),
    ("llama.cpp, older", 500, {"error": {"code": 500, "message": "the request exceeds the available context size. try increasing the context size or enable context shift"}}),
    ("LM Studio, first", 400, {"error": "Trying to keep the first 13055 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens, which is not enough"}),
    (
        "LM Studio, second",
        400,
        {
            "error": "The number of tokens to keep from the initial prompt is greater than the context length (n_keep: 13055>= n_ctx: 4096). Try to load the model with a larger context length, or provide a shorter input."
        },
    ),
    (
        "LM Studio, MLX",
        500,
        {
            "error": "Reached context length of 4096 tokens with model (arch: llama) that does not currently support mid-generation context overflow. Try reloading with a larger context length or shortening the prompt/chat."
        },
    ),
    ("TGI", 422, {"error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 4000 `inputs` tokens and 256 `max_new_tokens`", "error_type": "validation"}),
    ("TGI, inputs", 422, {"error": "Input validation error: `inputs` must have less than 3072 tokens. Given: 4000", "error_type": "validation"}),
    ("Gemini", 400, [{"error": {"code": 400, "message": "The input token count (5000) exceeds the maximum number of tokens allowed (4096).", "status": "INVALID_ARGUMENT"}}]),
    ("Vertex", 400, {"error": {"message": "Unable to submit request because the input token count is 33000 but model only supports up to 32768. Reduce the input token count and try again."}}),
    (
        "OpenAI",
        400,
        {
            "error": {
                "message": "This model's maximum context length is 4096 tokens. However, you requested 4222 tokens (3966 in the messages, 256 in the completion). Please reduce the length of the messages or completion.",
                "type": "invalid_request_error",
                "param": "messages",
                "code": "context_length_exceeded",
            }
        },
    ),
    ("OpenAI, newer", 400, {"error": {"message": "Your input exceeds the context window of this model. Please adjust your input and try again.", "code": "context_length_exceeded"}}),
    (
        "vLLM, older",
        400,
        {
            "object": "error",
            "message": "This model's maximum context length is 4096 tokens. However, your request has 5000 input tokens. Please reduce the length of the input messages.",
            "type": "BadRequestError",
            "param": None,
            "code": 400,
        },
    ),
    (
        "vLLM, decoder",
        400,
        {"error": {"message": "The decoder prompt (length 5000) is longer than the maximum model length of 4096. Make sure that `max_model_len` is no smaller than the number of text tokens."}},
    ),
    ("SGLang", 400, {"object": "error", "message": "The input (5000 tokens) is longer than the model's context length (4096 tokens).", "code": 400}),
    (
        "Mistral",
        400,
        {"object": "error", "message": "Prompt contains 65673 tokens and 0 draft tokens, too large for model with 32768 maximum context length", "type": "invalid_request_prompt", "code": "3051"},
    ),
    ("Anthropic", 400, {"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long: 213462 tokens > 200000 maximum"}}),
    ("Anthropic, with the reply", 400, {"error": {"message": "input length and `max_tokens` exceed context limit: 199900 + 256 > 200000, decrease input length or `max_tokens` and try again"}}),
    ("Bedrock", 400, {"message": "Input is too long for requested model."}),
    ("Bedrock, tokens", 400, {"detail": "An error occurred (ValidationException): Too many input tokens. Max input tokens: 8192, request input token count: 9000"}),
    ("xAI", 400, {"code": "Client specified an invalid argument", "error": "This model's maximum prompt length is 131072 but the request contains 537812 tokens."}),
    ("Groq", 400, {"error": {"message": "Please reduce the length of the messages or completion.", "type": "invalid_request_error", "param": "messages", "code": "context_length_exceeded"}}),
    ("Cohere", 400, {"message": "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 4292. Try using a shorter prompt"}),
    ("Azure", 400, {"error": {"message": "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 509178 tokens. Please reduce the length of the messages."}}),
    (
        "OpenRouter, wrapped",
        400,
        {
            "error": {
                "message": "Provider returned error",
                "code": 400,
                "metadata": {"raw": '{"error":{"message":"This endpoint\'s maximum context length is 4096 tokens. However, you requested about 5000 tokens."}}', "provider_name": "X"},
            }
        },
    ),
    ("LiteLLM", 400, {"error": {"message": "litellm.ContextWindowExceededError: litellm.BadRequestError: OpenAIException - prompt too big", "type": None, "param": None, "code": "400"}}),
    (
        "DashScope",
        400,
        {
            "error": {
                "code": "invalid_parameter_error",
                "param": None,
                "message": "<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 30720]",
                "type": "invalid_request_error",
            }
        },
    ),
    ("Moonshot", 400, {"error": {"message": "Invalid request: Your request exceeded model token limit: 8192 (requested: 9000)", "type": "invalid_request_error"}}),
    ("MiniMax", 400, {"error": {"type": "bad_request_error", "message": "invalid params, context window exceeds limit (2013)"}}),
    ("Zhipu", 400, {"error": {"code": "1261", "message": "Prompt 超长"}}),
    ("Perplexity", 400, {"error": {"message": "The total length of all messages is too long.", "code": 400}}),
    ("Ollama", 400, {"error": {"message": "prompt too long; exceeded max context length by 123 tokens", "type": "invalid_request_error"}}),
    ("Ollama, input", 500, {"error": {"message": "the input length exceeds the context length", "type": "api_error"}}),
    ("TabbyAPI", 400, {"detail": "Prompt length 5000 is greater than max_seq_len 4096"}),
    ("llama-cpp-python", 500, {"error": {"message": "Requested tokens (5013) exceed context window of 4096", "type": "internal_server_error"}}),
    ("TensorRT-LLM", 400, {"object": "error", "message": "The prompt length (5000) exceeds maximum input length (4096). Set log level to info", "code": 400}),
    (
        "Cloudflare",
        400,
        {
            "errors": [{"message": "AiError: AiError: The estimated number of input and maximum output tokens (7000) exceeded this model context window limit (6144).", "code": 5021}],
            "success": False,
            "result": {},
            "messages": [],
        },
    ),
    (
        "GitHub Models",
        413,
        {
            "error": {
                "code": "tokens_limit_reached",
                "message": "Request body too large for gpt-4o model. Max size: 8000 tokens.",
                "details": "Request body too large for gpt-4o model. Max size: 8000 tokens.",
            }
        },
    ),
    ("Copilot", 400, {"error": {"message": "prompt token count of 70000 exceeds the limit of 64000", "code": "model_max_prompt_tokens_exceeded"}}),
    ("GPT4All", 500, {"error": {"message": "The prompt size exceeds the context window size and cannot be processed."}}),
    ("LocalAI", 500, {"error": {"code": 500, "message": "rpc error: code = Unknown desc = prompt exceeds context size", "type": ""}}),
    (
        "Together",
        422,
        {
            "id": "x",
            "error": {"message": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4097. Given: 5000 `inputs` tokens and 256 `max_new_tokens`", "type": "invalid_request_error"},
        },
    ),
    ("AI21", 422, {"detail": "Prompt has 9000 tokens, which is more than the maximum of 8191"}),
    ("Fireworks", 400, {"error": {"object": "error", "type": "invalid_request_error", "message": "The prompt is too long: 5000, model maximum context length: 4095"}}),
    ("text instead of JSON", 500, "context length exceeded"),
    ("errors as a list", 400, {"errors": ["the conversation is longer than the context window"]}),
    ("message is an object", 400, {"message": {"detail": [{"loc": ["body", "messages"], "msg": "prompt too long for the context", "type": "value_error"}]}}),
    ("400 without a word", 400, ""),
    ("413 without a word", 413, ""),
    ("413 of nginx", 413, "<html>\n<head><title>413 Request Entity Too Large</title></head></html>"),
]

_FULL = "request (6009 tokens) exceeds the available context size (4096 tokens)"
_BODY: Final = {"error": {"code": 400, "message": _FULL}}
# the same words in other places
_PLACES: Final[list[tuple[str, Prepared]]] = [
    ("the first event", stream({"error": {"code": 500, "message": "Context size has been exceeded.", "type": "server_error"}}, done=False)),
    ("the first event, no number", stream({"error": {"message": _FULL, "code": None, "type": "x", "param": None}})),
    ("the first event, a text", stream({"error": _FULL})),
    ("the first event, by its name", stream(f'event: error\ndata: {{"message": "{_FULL}"}}\n\n', done=False)),
    ("a line error:", {"parts": [f'error: {{"code":400,"message":"{_FULL}"}}\n\n']}),
    ("a body without data:", {"parts": ['{"error":{"code":400,"message":"' + _FULL + '"}}']}),
    ("a body in lines without data:", {"parts": ['{\n  "error": {\n', f'    "message": "{_FULL}"\n', "  }\n}\n"]}),
    ("200 with JSON", refusal(200, _BODY)),
    ("200 with a list", refusal(200, [_BODY])),
    ("200 with choices null", refusal(200, {"choices": None, "error": _BODY["error"]})),
    ("in a choice", stream({"choices": [{"index": 0, "error": {"code": 400, "message": _FULL}, "finish_reason": "error"}]})),
    ("MiniMax, base_resp", refusal(200, {"choices": None, "base_resp": {"status_code": 1039, "status_msg": "context window exceeds limit"}})),
    ("object: error", stream({"object": "error", "message": _FULL, "code": 400})),
    ("after the role", stream({"choices": [{"delta": {"role": "assistant", "content": ""}}]}, {"error": {"message": _FULL}})),
    ("code is a list, type an object", refusal(400, {"error": {"message": _FULL, "code": [1], "type": {"a": 1}, "param": ["x"]}})),
    ("message is a list", refusal(400, {"error": {"message": [_FULL], "type": None}})),
]

FULL_WINDOWS: Final = [
    *(Shape(f"{name}: shortened", [long_prompt(refusal(status, body))], SAID, rounds=5) for name, status, body in _SAID),
    *(Shape(f"{place}: shortened", [long_prompt(answer)], SAID, rounds=5) for place, answer in _PLACES),
    Shape("alone and still too long", [refusal(400, {"error": {"message": "prompt is too long: 213462 tokens > 200000 maximum"}})], error=["does not fit", "213462"], rounds=2),
    Shape("alone and too long for llama.cpp", [refusal(500, {"error": {"code": 500, "message": "Context size has been exceeded."}})], error=["does not fit", "Context size has been exceeded"]),
    Shape("alone and refused without a word", [refusal(400, "")], error=["400"]),
    Shape("everything refused without a word", [refusal(400, "", to={"param": "stream"})], error=["400"], refuses_all=True),
    Shape("a number of messages is no window", [long_prompt(refusal(400, {"error": "the messages array exceeds its size: it cannot exceed 20 items"}))], SAID, rounds=3),
    Shape("the memory of the machine is no window", [long_prompt(refusal(500, {"error": "model requires more system memory (4.5 GiB) than is available (2.3 GiB)"}))], error=["4.5 GiB"], rounds=3),
]
