"""Damaged recordings of all formats, read as every way in reads them.

    python -m tests.integration.recordings.media_fuzzer --files 200 --seed 1
    python -m tests.integration.recordings.media_fuzzer --seconds 600 --seeds --forked --keep FOLDER

It prints its figures as JSON, and ends with status 1 when a promise was broken: this process must
live, each refusal must be a BadInput with one sentence that begins with the file's name, and no
decoder may take more memory than its limit. `--forked` starts decoders from a process that has
imported everything: the same code under the same limits, at a tenth of the cost. `--seeds` reads
the undamaged files first.
"""

import argparse
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, BinaryIO, Final

from common.errors import BadInput
from producer.decoding import decoder, decoder_process
from producer.decoding.limits import MEMORY_MB
from producer.sources.audio_file import AudioFileSource
from tests.integration.recordings.media_seeds import write_seeds
from tests.support.mutations import mutate

MOST_AUDIO_S: Final = 300.0
"""Read of one file; a damaged one may promise days. Then its decoder is killed, as by Ctrl+C."""

FILE_PAGES_MB: Final = 64
"""The programs' own pages, which the limit of private memory leaves out."""

OWN_MOST_MB: Final = 250
"""Of this process: with all seeds, and everything imported that makes them, it takes 150."""

KINDS: Final = [
    ("crash", r"it made its decoder crash with (SIG\w+)"),
    ("too slow", r"decoding it takes too long"),
    ("memory", r"it needs more than \d+ MB of memory"),
    ("unexpected", r"cannot be decoded \((\w+):"),
    ("decoder", r"its decoder (?:ended|answers|has)"),
    ("rate", r"states a rate of"),
    ("channels", r"states -?\d+ channels"),
    ("unknown format", r"is no audio that can be read here"),
    ("no audio", r"has a header, but holds no audio"),
    ("damaged at once", r"is damaged, and nothing of it can be used"),
    ("damaged later", r"is damaged"),
    ("too long", r"is longer than"),
]
"""Kinds of refusals, by their sentences."""


@dataclass(slots=True)
class Figures:
    """What came of the files.

    Memory in MB (2^20 bytes): of the largest decoder, and of this process.
    """

    seed: int
    files: int = 0
    accepted: int = 0
    stopped: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    crashes: dict[str, int] = field(default_factory=dict)
    unexpected: dict[str, int] = field(default_factory=dict)
    seeds: int = 0
    seeds_read: int = 0
    peak_mb: float = 0.0
    own_peak_mb: float = 0.0
    slowest_s: float = 0.0
    took_s: float = 0.0
    broken: list[str] = field(default_factory=list)


class ForkedDecoder:
    """A decoder without the start of a Python: what `subprocess.Popen` is to `DecoderProcess`."""

    def __init__(self, argv: list[str], *, stdin: BinaryIO, **_: Any) -> None:
        read_end, write_end = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            os.setsid()
            os.dup2(stdin.fileno(), 0)
            os.dup2(write_end, 1)
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 2)
            os.closerange(3, 256)
            sys.argv = argv[-2:]
            decoder.main()
        os.close(write_end)
        self.stdout = os.fdopen(read_end, "rb", buffering=0)
        self._status: int | None = None

    def kill(self) -> None:
        if self._status is None:
            os.kill(self.pid, signal.SIGKILL)

    def wait(self, _timeout: float) -> int:
        if self._status is None:
            self._status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self._status


class Fuzzer:
    """One run in `folder`. Files that broke a promise, or a decoder, go to `keep`."""

    def __init__(self, folder: Path, seed: int, keep: Path | None) -> None:
        self._folder = folder
        self._random = Random(seed)
        self._keep = keep
        self.figures = Figures(seed)
        seeds = folder / "seeds"
        seeds.mkdir()
        self._seeds = write_seeds(seeds)
        self._contents = [path.read_bytes() for path in self._seeds]

    def read_seeds(self) -> None:
        """Read each undamaged file: those that nothing can read are no use as seeds."""
        for path in self._seeds:
            self.figures.seeds += 1
            self.figures.seeds_read += self._read(path) == "accepted"

    def read_damaged(self) -> None:
        """Damage a file and read it."""
        place = self._random.randrange(len(self._seeds))
        name = self._random.choice(["talk", "Gespr\u00e4ch 1"])
        path = self._folder / f"{name}{self._seeds[place].suffix}"
        path.write_bytes(mutate(self._random, self._contents[place], self._contents))
        began, peak = time.monotonic(), _peak_mb()
        outcome = self._read(path)
        figures = self.figures
        figures.files += 1
        took_s = time.monotonic() - began
        is_remarkable = took_s > max(5.0, figures.slowest_s) or _peak_mb() > peak + 50
        figures.slowest_s = max(figures.slowest_s, took_s)
        figures.peak_mb = _peak_mb()
        if outcome == "accepted":
            figures.accepted += 1
        elif outcome == "stopped":
            figures.stopped += 1
        else:
            _count(figures.refused, outcome)
        if outcome in {"crash", "memory", "too slow", "decoder", "unexpected"} or is_remarkable:
            self._put_aside(path, outcome)
        path.unlink()

    def _read(self, path: Path) -> str:
        """Read a file to its end; return what came of it."""
        try:
            with AudioFileSource(path) as source:
                for _ in source:
                    if source.samples > MOST_AUDIO_S * 16_000:
                        return "stopped"
            return "accepted"
        except BadInput as error:
            return self._classify(path, str(error))
        except Exception as error:
            return self._break(path, f"{type(error).__name__}: {error}")

    def _classify(self, path: Path, sentence: str) -> str:
        if not sentence.startswith(f"{path} ") or not sentence.isprintable():
            self._break(path, f"no sentence about the file: {sentence!r}")
        for kind, pattern in KINDS:
            if found := re.search(pattern, sentence):
                if kind == "crash":
                    _count(self.figures.crashes, found[1])
                if kind == "unexpected":
                    what = sentence.partition("cannot be decoded ")[2]
                    _count(self.figures.unexpected, what[:100])
                return kind
        return self._break(path, f"a sentence of no known kind: {sentence!r}")

    def _break(self, path: Path, what: str) -> str:
        self.figures.broken.append(what)
        self._put_aside(path, "broken")
        return "broken"

    def _put_aside(self, path: Path, why: str) -> None:
        if self._keep is not None:
            self._keep.mkdir(parents=True, exist_ok=True)
            name = f"{why.replace(' ', '-')}-{self.figures.seed}-{self.figures.files}{path.suffix}"
            shutil.copy(path, self._keep / name)


def _count(counts: dict[str, int], key: str) -> None:
    counts[key] = counts.get(key, 0) + 1


def _peak_mb() -> float:
    """MB of the largest decoder so far; the only children here are decoders."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1_024


def fuzz(options: argparse.Namespace) -> Figures:
    """Read damaged files: so many, or as many as so many seconds allow."""
    if options.forked:
        _import_all()
        fake = SimpleNamespace(**vars(subprocess) | {"Popen": ForkedDecoder})
        setattr(decoder_process, "subprocess", fake)  # noqa: B010  # for mypy it is not ours
    with tempfile.TemporaryDirectory(prefix="earshot-fuzz-") as folder:
        fuzzer = Fuzzer(Path(folder), options.seed, options.keep)
        began = time.monotonic()
        had_mb = _own_peak_mb()
        if options.seeds:
            fuzzer.read_seeds()
        while fuzzer.figures.files < options.files or time.monotonic() - began < options.seconds:
            fuzzer.read_damaged()
        figures = fuzzer.figures
    figures.took_s = round(time.monotonic() - began, 1)
    figures.own_peak_mb = _own_peak_mb()
    # a process that has run other tests may have had more before
    if figures.own_peak_mb > max(OWN_MOST_MB, had_mb):
        figures.broken.append(f"the reader of the recordings took {figures.own_peak_mb:.0f} MB")
    if figures.peak_mb > MEMORY_MB + FILE_PAGES_MB:
        figures.broken.append(f"a decoder took {figures.peak_mb:.0f} MB")
    return figures


def _own_peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024


def _import_all() -> None:
    """Import what a decoder imports, before it is forked."""
    import producer.decoding.media_file
    import producer.decoding.resample
    import producer.decoding.sound_file  # noqa: F401


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--forked", action="store_true")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--seeds", action="store_true")
    figures = fuzz(parser.parse_args())
    print(json.dumps(asdict(figures), indent=2, ensure_ascii=False))
    sys.exit(bool(figures.broken))


if __name__ == "__main__":
    main()
