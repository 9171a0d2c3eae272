"""Ask a stand-in through the OpenAI client."""

from __future__ import annotations

from typing import Any

from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello."}]


async def read_whole_reply(client: AsyncOpenAI, **extra: Any) -> tuple[str | None, str | None]:
    """Text and finish reason of an answer that is not streamed."""
    answer = await client.chat.completions.create(model="stand-in", messages=HELLO, **extra)
    return answer.choices[0].message.content, answer.choices[0].finish_reason


async def read_stream(client: AsyncOpenAI, into: list[str], **extra: Any) -> str | None:
    """Collect the streamed texts in `into`: the finish reason, None if there was none."""
    reason = None
    stream = await client.chat.completions.create(
        model="stand-in", messages=HELLO, stream=True, **extra
    )
    async for chunk in stream:
        for choice in chunk.choices:
            if choice.delta.content:
                into.append(choice.delta.content)
            reason = choice.finish_reason or reason
    return reason
