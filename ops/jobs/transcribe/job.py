"""The job `transcribe`: it reads a recording, and writes a file with its transcript."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from common.errors import to_printable
from common.redis.link import Link
from common.redis.store import Store
from common.settings import Settings
from common.status.snapshot import take_snapshot
from ops.jobs.execution import JobContext
from ops.jobs.files.atomic_file import open_atomically
from ops.jobs.files.job_folder import JobFolder
from ops.jobs.transcribe.formats import FORMATS
from ops.jobs.transcribe.request import Paths, Request, locate_files
from ops.jobs.transcribe.transcriber import Progress, Transcriber
from producer.sources.audio_file import AudioFileSource

POLL_S: Final = 0.5
SNAPSHOT_EVERY: Final = 10
"""Every tenth poll looks for workers too."""

NO_WORKER: Final = (
    "no STT worker takes recordings: start `earshot stt`, without EARSHOT_STT__RECORDINGS=false"
)


_HARDLY_ANY_DBFS: Final = -70.0
"""Speech that is so quiet is lost in the noise of any converter."""


async def run(context: JobContext, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Transcribe one recording in the folder of the jobs, as an RQ job."""
    request, folder = Request.read(arguments), JobFolder(context.settings.jobs)
    return await transcribe(
        context.settings,
        context.store,
        context.link,
        request,
        locate_files(request, folder),
        job=context.job,
        folder=folder,
        report=lambda progress: context.report(**asdict(progress)),
    )


async def transcribe(
    settings: Settings,
    store: Store,
    link: Link,
    request: Request,
    paths: Paths,
    *,
    job: str,
    folder: JobFolder | None = None,
    report: Callable[[Progress], None],
) -> dict[str, Any]:
    """Transcribe a recording and write the file; return what the command shows at the end.

    `paths` are the files of the request on this host; a job gives its `folder`, in which it may
    replace little. `report` is called with the progress twice a second.
    """
    options = {"preset": request.preset, "language": request.language or settings.listen.language}
    listen = settings.listen.model_copy(update=options)
    transcriber = Transcriber(store, link, listen, request.as_run())
    reporting = asyncio.create_task(_report_progress(transcriber, store, link, report))
    try:
        transcript = await transcriber.transcribe(
            lambda: AudioFileSource(paths.file, listen.frame_ms),
            to_printable(paths.file.name),
            partial(_open_channel, paths.file, listen.frame_ms)
            if request.channels == "separate"
            else None,
        )
    finally:
        reporting.cancel()
        await asyncio.gather(reporting, return_exceptions=True)
        report(transcriber.progress)
    if not transcript.lines and not transcript.holes:
        note = _explain_silence(transcript.duration_s, transcriber.loudest_dbfs)
        transcript = replace(transcript, note=note)
    with open_atomically(paths.output, job, folder) as file:
        file.writelines(FORMATS[request.format](transcript))
    return {
        "output": str(paths.output),
        "duration_s": transcript.duration_s,
        "segments": transcriber.progress.segments,
        "holes": [asdict(hole) for hole in transcript.holes],
        "damage": transcript.damage,
        "note": transcript.note,
    }


def _explain_silence(duration_s: float, loudest_dbfs: float) -> str:
    if loudest_dbfs <= _HARDLY_ANY_DBFS:
        return (
            f"there is hardly any sound in its {duration_s:.0f} s: the loudest half second is at"
            f" {loudest_dbfs:.0f} dB of full scale; check which microphone or track was recorded"
        )
    return (
        f"nobody was heard to speak in its {duration_s:.0f} s: the loudest half second is at"
        f" {loudest_dbfs:.0f} dB of full scale; speech is between -40 and -6 dB"
    )


def _open_channel(path: Path, frame_ms: int, channel: int) -> AudioFileSource:
    return AudioFileSource(path, frame_ms, channel=channel)


async def _report_progress(
    transcriber: Transcriber, store: Store, link: Link, report: Callable[[Progress], None]
) -> None:
    polls = 0
    waits_for = ""
    while True:
        if polls % SNAPSHOT_EVERY == 0:
            snapshot = await link.retry_until_answered(take_snapshot, store)
            has_worker = any(worker.takes_recordings for worker in snapshot.workers)
            waits_for = "" if has_worker else NO_WORKER
        polls += 1
        transcriber.progress.waits_for = waits_for
        report(transcriber.progress)
        await asyncio.sleep(POLL_S)
