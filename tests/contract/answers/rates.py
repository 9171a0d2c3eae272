"""Rates: wait, shorten, or end with the sentence; never for ever."""

from typing import Final

from tests.contract.answers.shape import SAID, Shape, long_prompt, refusal, stream

_GROQ = "Request too large for model `llama-3.1-8b-instant` in organization `org` service tier `on_demand` on tokens per minute (TPM): Limit 6000, Requested 6294, please reduce your message size and try again."
_OPENAI = "Request too large for gpt-4o in organization org on tokens per min (TPM): Limit 30000, Requested 30601. The input or output tokens must be reduced in order to run successfully."
_WAIT = "Rate limit reached for model `x` in organization `o` on tokens per minute (TPM): Limit 6000, Used 5034, Requested 1443. Please try again in 4.77s."
_GEMINI = {
    "error": {
        "code": 429,
        "message": "You exceeded your current quota, please check your plan and billing details. Please retry in 0.2s.",
        "status": "RESOURCE_EXHAUSTED",
        "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.2s"}],
    }
}

RATES: Final = [
    Shape("Groq, 413: shortened", [long_prompt(refusal(413, {"error": {"message": _GROQ, "type": "tokens", "code": "rate_limit_exceeded"}}))], SAID, rounds=5),
    Shape("OpenAI, 429: shortened", [long_prompt(refusal(429, {"error": {"message": _OPENAI, "type": "tokens", "code": "rate_limit_exceeded"}}))], SAID, rounds=5),
    Shape("in the stream: shortened", [long_prompt(stream({"error": {"message": _GROQ, "code": "rate_limit_exceeded"}}))], SAID, rounds=5),
    Shape(
        "a part of the history is enough",
        [long_prompt(refusal(413, {"error": {"message": "on tokens per minute (TPM): Limit 6000, Requested 6500, please reduce your message size"}}), 10)],
        SAID,
        rounds=5,
    ),
    Shape("Groq, alone", [refusal(413, {"error": {"message": _GROQ, "code": "rate_limit_exceeded"}})], error=["Limit 6000"]),
    Shape("OpenAI, alone", [refusal(429, {"error": {"message": _OPENAI, "code": "rate_limit_exceeded"}})], error=["Limit 30000"]),
    Shape(
        "a shorter reply is enough", [refusal(413, {"error": {"message": "on tokens per minute (TPM): Limit 100, Requested 120, please reduce your message size"}}, to={"max_tokens_above": 44})], SAID
    ),
    Shape("used up for now", [refusal(429, {"error": {"message": _WAIT, "code": "rate_limit_exceeded"}}, count=2)], SAID, rounds=1),
    Shape("used up for now, in the stream", [stream({"error": {"message": _WAIT, "code": "rate_limit_exceeded"}}, count=2)], SAID),
    Shape("used up for now, with 413", [refusal(413, {"error": {"message": _WAIT}}, count=2)], SAID),
    Shape("Gemini, for now", [refusal(429, [_GEMINI], count=2)], SAID),
    Shape("too many requests", [refusal(429, {"message": "Requests rate limit exceeded"}, count=2)], SAID),
    Shape("429 without a word", [refusal(429, "", count=2)], SAID),
    Shape("Bedrock throttles", [refusal(400, {"message": "ThrottlingException: Too many tokens, please wait before trying again."}, count=2)], SAID),
    Shape("overloaded, in the stream", [stream({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, count=2)], SAID),
    Shape("the model is being loaded", [refusal(503, {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}, count=2)], SAID),
    Shape("200 and busy", [refusal(200, {"error": {"message": "Rate limit exceeded: free-models-per-min.", "code": 429}}, count=2)], SAID),
    Shape("used up for ever", [refusal(429, {"error": {"message": "Rate limit reached on tokens per day (TPD): Limit 100000, Used 99999, Requested 100."}})], error=["tokens per day"], tries=99),
]
