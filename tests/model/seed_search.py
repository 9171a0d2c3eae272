"""Find for each mutant a seed that catches it, and write them into `catching_seeds.py`.

    python -m tests.model.seed_search [PART-OF-A-GUARD ...]

A seed that caught it before goes first. One counts if it catches the mutant twice on each server:
a few runs depend on what Redis's clock says.
"""

import re
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from tests.model import catching_seeds
from tests.model.actors import Violation
from tests.model.all_mutants import MUTANTS
from tests.model.direct_redis import DirectRedis
from tests.model.mutants import Mutant, mutated
from tests.model.run import run_seed
from tests.support.redis_server import EXECUTABLES, RedisServer

MANY: Final = 3_000
FILE: Final = Path(catching_seeds.__file__)


def catches(redis: DirectRedis, seed: int) -> bool:
    """Whether a run finds a violation."""
    try:
        run_seed(redis, seed)
    except Violation:
        return True
    return False


def find_seed(servers: list[DirectRedis], mutant: Mutant, seeds: Iterable[int]) -> int | None:
    """The first seed that catches it on all servers; None if it survives them all."""
    with mutated(mutant):
        for seed in seeds:
            if all(catches(redis, seed) for redis in servers * 2):
                return seed
    return None


def write(found: dict[str, int]) -> None:
    """Put the seeds into the file, in the order of the mutants; 0 is left out."""
    order = [mutant.guard for mutant in MUTANTS]
    lines = [f'    "{guard}": {found[guard]},\n' for guard in order if found.get(guard)]
    text = FILE.read_text(encoding="utf-8")
    table = re.compile(r"(CAUGHT_BY: Final\[dict\[str, int\]\] = \{\n).*?(\}\n)", re.DOTALL)
    FILE.write_text(table.sub(lambda old: old[1] + "".join(lines) + old[2], text), encoding="utf-8")


def main(wanted: list[str]) -> int:
    found = dict(catching_seeds.CAUGHT_BY)
    survivors = 0
    with ExitStack() as stack:
        servers = []
        for executable in filter(None, EXECUTABLES.values()):
            server = stack.enter_context(RedisServer(executable))
            servers.append(stack.enter_context(DirectRedis(server)))
        for mutant in MUTANTS:
            if wanted and not any(part in mutant.guard for part in wanted):
                continue
            seeds = [found.get(mutant.guard, 0), *range(MANY)]
            seed = find_seed(servers, mutant, seeds)
            print(f"{mutant.guard}: {'survived' if seed is None else seed}", flush=True)
            survivors += seed is None
            found[mutant.guard] = seed or 0
            write(found)
    return survivors


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
