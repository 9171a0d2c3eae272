"""`earshot bench`: the benchmarks."""

import click

from ops.commands.bench_chaos import chaos
from ops.commands.bench_eager import eager
from ops.commands.bench_failover import failover
from ops.commands.bench_hearing import hearing
from ops.commands.bench_llm import llm
from ops.commands.bench_recording import recording


@click.group("bench")
def command() -> None:
    """Measure earshot on this machine, and prove what it promises."""


for bench in (hearing, llm, recording, chaos, failover, eager):
    command.add_command(bench)
