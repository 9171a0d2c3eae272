"""Finding the folder of the model that EARSHOT_STT__MODEL names, or fetching it from the hub."""

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from common.errors import NoModel
from common.settings.host_files import is_file

DEMO: Final = "demo"
BUNDLED: Final = Path(__file__).parent / "demo_model"
WAY_OUT: Final = (
    "put the folder of a CTranslate2 Whisper model in EARSHOT_STT__MODEL,"
    " or use EARSHOT_STT__MODEL=demo to try earshot out"
)
WEIGHTS: Final = "model.bin"
NEEDED: Final = (WEIGHTS, "tokenizer.json")
"""Without the tokenizer in the folder, faster-whisper asks the hub for one at every start."""

NOT_INSTALLED: Final = (
    "faster-whisper is not installed here: install earshot with its `stt` extra"
    " (pip install 'earshot[stt]')"
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A folder with a CTranslate2 model. `name` is what events and logs call the model."""

    name: str
    path: Path


def locate(model: str, models_dir: str = "") -> ModelFolder:
    """Return the folder of a model: `demo`, a folder, or a name on the hub.

    Fetches a model of the hub that is not on this machine yet; this blocks, and may take minutes.
    `models_dir`: where to keep fetched models; empty: the Hugging Face cache. Raises NoModel with
    the way out.
    """
    if model == DEMO:
        return ModelFolder(DEMO, _bundled())
    folder = Path(model)
    try:
        if is_file(folder / WEIGHTS) or _looks_like_path(model):
            return ModelFolder(folder.resolve().name, _given(folder))
    except OSError as error:
        raise NoModel(
            f"the model folder {folder} cannot be read ({error.strerror}): {WAY_OUT}"
        ) from None
    return ModelFolder(model, _from_hub(model, models_dir))


def _bundled() -> Path:
    if (BUNDLED / WEIGHTS).is_file():
        return BUNDLED
    raise NoModel(
        "this installation has no bundled demo model: install earshot again, or set"
        " EARSHOT_STT__MODEL to a model name such as small.en"
    )


def _looks_like_path(model: str) -> bool:
    # `owner/name` is how the hub names a model; everything else with a slash is a path
    return model[0] in "./~\\" or "\\" in model or model.count("/") > 1 or model.endswith("/")


def _given(folder: Path) -> Path:
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise NoModel(f"the model folder {folder} {what}: {WAY_OUT}")
    missing = [name for name in NEEDED if not (folder / name).is_file()]
    if missing:
        raise NoModel(
            f"the folder {folder} holds no {' and no '.join(missing)}, so it is no complete"
            " CTranslate2 Whisper model: convert one with `ct2-transformers-converter"
            " --copy_files tokenizer.json preprocessor_config.json`, or use"
            " EARSHOT_STT__MODEL=demo to try earshot out"
        )
    return folder


def _from_hub(model: str, models_dir: str) -> Path:
    try:
        from faster_whisper import available_models, download_model
    except ImportError:
        raise NoModel(NOT_INSTALLED) from None
    if "/" not in model and model not in available_models():
        raise NoModel(
            f"there is no model {model!r}: EARSHOT_STT__MODEL takes demo, a folder, owner/name on"
            f" the hub, or one of {', '.join(available_models())}"
        )
    # it warns of what a user of earshot cannot change (no token, no symbolic links)
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    cache_dir = models_dir or None
    try:
        # first without the hub: a start must not hang on a network that is away
        kept = Path(download_model(model, cache_dir=cache_dir, local_files_only=True))
        if (kept / WEIGHTS).is_file():
            return kept
    except (OSError, ValueError):
        pass
    log.info("fetching_model", model=model, note="this may take minutes; it is kept")
    began = time.monotonic()
    try:
        fetched = Path(download_model(model, cache_dir=cache_dir))
    except Exception as error:
        raise NoModel(_why_not(error, model, models_dir)) from None
    if not (fetched / WEIGHTS).is_file():
        raise NoModel(
            f"{model} on the hub is no CTranslate2 model (it has no {WEIGHTS}): look for one whose"
            f" name has faster-whisper in it, or {WAY_OUT}"
        )
    log.info("model_fetched", model=model, took_s=round(time.monotonic() - began, 1))
    return fetched


def _why_not(error: Exception, model: str, models_dir: str) -> str:
    from huggingface_hub import constants
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
    )

    hub = constants.ENDPOINT
    if isinstance(error, GatedRepoError):
        return f"{model} at {hub} wants its terms accepted: set HF_TOKEN, or {WAY_OUT}"
    if isinstance(error, RepositoryNotFoundError):
        return (
            f"there is no model {model} at {hub}, nor a folder of that name here (or it is private"
            f" and HF_TOKEN is not set): {WAY_OUT}"
        )
    if isinstance(error, LocalEntryNotFoundError):
        if isinstance(error.__cause__, OfflineModeIsEnabled):
            return (
                f"the model {model} is not on this machine, and HF_HUB_OFFLINE forbids to fetch"
                f" it: unset that, {WAY_OUT}"
            )
        cause = error.__cause__ or error
        trouble = "answers otherwise" if isinstance(cause, HfHubHTTPError) else "cannot be reached"
        return (
            f"the model {model} is not on this machine, and {hub} {trouble}"
            f" ({_first_line(cause)}): {WAY_OUT}"
        )
    if isinstance(error, OSError) and not isinstance(error, HfHubHTTPError) and error.strerror:
        place = models_dir or constants.HF_HUB_CACHE
        return (
            f"the model {model} cannot be kept in {place} ({error.strerror}): set"
            f" EARSHOT_STT__MODELS_DIR to a folder with room, or {WAY_OUT}"
        )
    return f"the model {model} cannot be fetched from {hub} ({_first_line(error)}): {WAY_OUT}"


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200].rstrip(".") if lines else type(error).__name__
