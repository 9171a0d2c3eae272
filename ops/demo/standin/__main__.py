"""The command line of the stand-in LLM: `python -m ops.demo.standin`."""

from __future__ import annotations

from typing import Final

import click
from pydantic import SecretStr

from common.errors import EarshotError
from ops.demo.standin.faults import MIN_WINDOW, Control
from ops.demo.standin.parent import Parent
from ops.demo.standin.server import open_listener, serve

_DEFAULTS: Final = Control()


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=0,
    type=click.IntRange(0, 65535),
    show_default=True,
    help="Port to listen on. 0 means any free port.",
)
@click.option(
    "--first-token-ms",
    default=_DEFAULTS.first_token_ms,
    type=click.FloatRange(min=0),
    show_default=True,
    help="Time to the first token (ms).",
)
@click.option(
    "--tokens-per-s",
    default=_DEFAULTS.tokens_per_s,
    type=click.FloatRange(min=0, min_open=True),
    show_default=True,
    help="Tokens per second after the first one.",
)
@click.option(
    "--max-model-len",
    default=_DEFAULTS.max_model_len,
    type=click.IntRange(min=MIN_WINDOW),
    show_default=True,
    help="The window: how many tokens prompt and reply may have together.",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    default=_DEFAULTS.models,
    show_default=True,
    help="Name of a model that is served. May be repeated.",
)
@click.option(
    "--api-key",
    envvar="EARSHOT_STANDIN_API_KEY",
    help="Key that requests to /v1 need. It is safer in EARSHOT_STANDIN_API_KEY.",
)
@click.option(
    "--reject-system-role",
    is_flag=True,
    help="Refuse system messages, as the chat template of Mistral 7B v0.1 does.",
)
@click.option(
    "--steerable/--no-steerable",
    default=True,
    show_default=True,
    help="Serve /control and /requests, which need no key.",
)
@click.option("--with-parent", is_flag=True, help="End when the process that started it ends.")
def main(
    host: str,
    port: int,
    first_token_ms: float,
    tokens_per_s: float,
    max_model_len: int,
    models: tuple[str, ...],
    api_key: str | None,
    reject_system_role: bool,
    steerable: bool,
    with_parent: bool,
) -> None:
    """Serve the stand-in LLM: the OpenAI API with prepared jokes, and without a model."""
    parent = Parent() if with_parent else None
    try:
        control = Control(
            first_token_ms=first_token_ms,
            tokens_per_s=tokens_per_s,
            max_model_len=max_model_len,
            models=models,
            api_key=SecretStr(api_key) if api_key else None,
            reject_system_role=reject_system_role,
        )
        serve(open_listener(host, port), control, steerable=steerable, parent=parent)
    except EarshotError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main(prog_name="python -m ops.demo.standin")
