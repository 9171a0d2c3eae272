"""`earshot say`: send text instead of speech."""

import asyncio

import click

from common.errors import BadInput
from common.keys import check_session_id
from common.redis.opening import open_reachable_store
from common.settings import Settings
from common.traceparent import begin_trace
from common.transitions.publishing import Verdict, publish
from common.utterance import Utterance
from ops.cli.options import load_settings_and_logs, redis_options, setting
from producer.shipping.identity import default_session, new_utterance_id


@click.command("say")
@click.argument("text")
@setting("--session", "listen.session")
@setting("--persona", "listen.persona")
@redis_options
@click.pass_context
def command(ctx: click.Context, text: str) -> None:
    """Send TEXT as if somebody had said it.

    Useful without a microphone. `earshot tail` shows the reply.
    """
    settings = load_settings_and_logs(ctx)
    if not text.strip():
        raise BadInput("there is nothing to say: TEXT is empty")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadInput("TEXT is not UTF-8") from None
    asyncio.run(_say(settings, text.strip()))


async def _say(settings: Settings, text: str) -> None:
    session = check_session_id(settings.listen.session or default_session("say"))
    utterance = new_utterance_id()
    async with open_reachable_store(settings) as store:
        answer = await publish(
            store,
            Utterance(
                id=utterance,
                session=session,
                text=text,
                source="say",
                persona=settings.listen.persona,
                language=settings.listen.language,
                traceparent=begin_trace(utterance),
            ),
        )
    if answer.verdict is Verdict.FULL:
        raise BadInput(f"not sent: {answer.why}; try again later")
    click.echo(f"Turn {answer.turn} of session {session}.", err=True)
