"""`earshot bench`: the benchmarks."""

import click

from ops.bench.commands.bench_chaos import chaos
from ops.bench.commands.bench_eager import eager
from ops.bench.commands.bench_failover import failover
from ops.bench.commands.bench_hearing import hearing
from ops.bench.commands.bench_llm import llm
from ops.bench.commands.bench_recording import recording


@click.group("bench")
def command() -> None:
    """Measure earshot on this machine, and test its promises.

    Each benchmark starts the processes that it needs, with a Redis of its own. Nothing that runs
    already is touched.
    """


for bench in (hearing, llm, recording, chaos, failover, eager):
    command.add_command(bench)
