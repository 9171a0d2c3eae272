"""`earshot transcribe`: long recordings, through the same STT workers."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from common.errors import BadInput, EarshotError, to_printable
from common.keys import SHARDS
from common.redis.opening import make_link, open_reachable_store
from common.redis.server import now_ms
from common.settings import Settings
from common.stopping import run_until_stopped
from ops.cli.options import jobs_options, load_settings_and_logs, log_options, setting
from ops.local.process_exit import INTERRUPTED
from ops.local.signals import run_role

# importing it loads NumPy and RQ, which --help must not wait for
if TYPE_CHECKING:
    from ops.jobs.transcribe.request import Channels, FormatName, Paths, Request

    Requested = tuple[Request, Paths]

KIND: Final = "transcribe"
EMPTY_IS_WRONG_S: Final = 60
"""Nobody has a minute of silence transcribed on purpose."""


@click.command("transcribe")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--format",
    "kind",
    type=click.Choice(["txt", "srt", "vtt", "json"]),
    help="Format of the transcript.  [default: the ending of --output, or txt]",
)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    help="File or folder for the transcript.  [default: beside the recording]",
)
@click.option(
    "--channels",
    type=click.Choice(["mix", "separate"]),
    default="mix",
    show_default=True,
    help="mix: what is said in any channel. separate: each channel is another speaker.",
)
@click.option("--overwrite", is_flag=True, help="Replace an existing transcript.")
@click.option("--here", is_flag=True, help="Work in this process, without `earshot jobs`.")
@click.option("--detach", is_flag=True, help="Do not wait for the transcript.")
@click.option("--attach", metavar="JOB", help="Watch a job that was started before.")
@setting("--language", "listen.language")
@setting("--preset", "listen.preset")
@setting("--folder", "jobs.folder")
@jobs_options
@log_options
@click.pass_context
def command(
    ctx: click.Context,
    files: Sequence[Path],
    kind: "FormatName | None",
    output: Path | None,
    channels: "Channels",
    overwrite: bool,
    here: bool,
    detach: bool,
    attach: str | None,
) -> None:
    """Transcribe recordings of any length; live speech goes first.

    `earshot jobs` does the work if recording and transcript lie in the folder of the jobs,
    EARSHOT_JOBS__FOLDER. After Ctrl+C the command ends, but the job goes on. Other files are
    transcribed in this process. The transcript is written beside the recording.

    \b
    earshot transcribe talk.mp3                      talk.txt
    earshot transcribe meeting.m4a --format srt      meeting.srt
    earshot transcribe call.wav --channels separate  who said what, by channel
    earshot transcribe *.wav --output transcripts/
    earshot transcribe talk.mp3 --here               in this process, wherever the file is
    """
    settings = load_settings_and_logs(ctx)
    if sum((here, detach, attach is not None)) > 1 or (attach is None) != bool(files):
        raise BadInput(
            "name recordings (and at most one of --here and --detach), or use --attach JOB"
        )
    if attach is not None:
        ctx.exit(_watch(settings, {attach: attach}))
    requested = asyncio.run(_make_requests(settings, files, kind, output, channels, overwrite))
    if here or not _can_be_jobs(settings, requested, detach):
        ctx.exit(_transcribe_here(settings, requested))
    ctx.exit(_enqueue(settings, requested, detach))


def _can_be_jobs(settings: Settings, requested: Sequence["Requested"], detach: bool) -> bool:
    """Tell whether jobs may read and write all these files, and say why if they may not.

    Raises BadInput if a job was asked for (`detach`) and cannot be.
    """
    from ops.jobs.transcribe.request import is_for_job

    others = [paths for request, paths in requested if not is_for_job(request)]
    if not others:
        return True
    folder = settings.jobs.folder_path()
    if detach:
        raise BadInput(
            f"no job may read {others[0].file} or write {others[0].output}: put them into {folder},"
            " the folder of the jobs (EARSHOT_JOBS__FOLDER), or leave --detach out"
        )
    click.echo(
        to_printable(
            f"This process does the work, and Ctrl+C ends it: {others[0].file} or its transcript is"
            f" outside of {folder}, the folder of the jobs."
        ),
        err=True,
    )
    return False


async def _make_requests(
    settings: Settings,
    files: Sequence[Path],
    kind: "FormatName | None",
    output: Path | None,
    channels: "Channels",
    overwrite: bool,
) -> list["Requested"]:
    from ops.jobs.files.atomic_file import is_taken
    from ops.jobs.transcribe.request import Paths, make_request

    targets = [_choose_target(file, kind, output, len(files)) for file in files]
    if len({target.resolve() for target, _ in targets}) < len(targets):
        raise BadInput("two of these recordings would have the same transcript file")
    recordings = {file.resolve() for file in files}
    for target, _ in targets:
        if target.resolve() in recordings:
            raise BadInput(
                f"{target} is one of the recordings: give the transcript another name with --output"
            )
        if is_taken(target) and not overwrite:
            raise BadInput(f"{target} exists already: --overwrite replaces it")
        if not target.parent.is_dir():
            raise BadInput(f"{target} cannot be written: there is no folder {target.parent}")
    async with open_reachable_store(settings) as store:
        now = await now_ms(store.redis, SHARDS)
    requested = []
    for file, (target, form) in zip(files, targets, strict=True):
        paths = Paths(file, target.absolute())
        requested.append((make_request(paths, form, settings, now, channels), paths))
    return requested


def _choose_target(
    file: Path, kind: "FormatName | None", output: Path | None, count: int
) -> tuple[Path, "FormatName"]:
    from ops.jobs.transcribe.formats import FORMATS

    into_folder = output is not None and (output.is_dir() or count > 1)
    if into_folder and output is not None and not output.is_dir():
        raise BadInput(f"--output {output} must be a folder, because there are {count} recordings")
    suffix = output.suffix[1:].lower() if output is not None and not into_folder else ""
    form: Any = kind or (suffix if suffix in FORMATS else "txt")
    if output is not None and not into_folder:
        return output, form
    name = file.with_suffix(f".{form}")
    return name if output is None else output / name.name, form


def _enqueue(settings: Settings, requested: Sequence["Requested"], detach: bool) -> int:
    from ops.jobs.connection import open_connection
    from ops.jobs.files.atomic_file import is_taken
    from ops.jobs.files.job_folder import JobFolder
    from ops.jobs.queues import enqueue, make_job_id

    folder = JobFolder(settings.jobs)
    names: dict[str, str] = {}
    with open_connection(settings) as redis:
        for request, paths in requested:
            if is_taken(paths.output):  # and --overwrite was given
                folder.allow_replacing(paths.output)
            # two requests for the same transcript are one job, although each has its own run
            work = request.model_dump(exclude={"run", "session", "since"})
            identity = make_job_id(KIND, *work.values())
            arguments = request.model_dump()
            job, is_new = enqueue(redis, settings.jobs, KIND, identity, arguments, again="always")
            names[job.id] = to_printable(Path(request.file).name)
            known = "" if is_new else ", which exists already"
            click.echo(to_printable(f"{request.file}: job {job.id}{known}"), err=True)
    return 0 if detach else _watch(settings, names)


def _watch(settings: Settings, names: dict[str, str]) -> int:
    from ops.cli.jobs.job_state import watch
    from ops.cli.jobs.progress_bars import ProgressBars
    from ops.jobs.connection import open_connection

    try:
        with open_connection(settings) as redis, ProgressBars(names) as bars:
            ended = watch(
                redis,
                dict.fromkeys(names, KIND),
                lambda identity, job: bars.show(identity, job.state, job.progress),
            )
    except KeyboardInterrupt:
        again = "\n".join(f"earshot transcribe --attach {identity}" for identity in names)
        click.echo(f"The job goes on. To watch it again:\n{again}", err=True)
        return INTERRUPTED
    failed = 0
    for identity, job in ended.items():
        if job.done:
            failed += _print_result(names[identity], job.result)
        else:
            click.echo(f"{names[identity]}: {job.error}", err=True)
            failed += 1
    return 1 if failed else 0


def _print_result(name: str, result: Any) -> int:
    """Print where the transcript is; return 1 if something is missing from it."""
    click.echo(os.fsencode(result.get("output", "")))
    for hole in result.get("holes", []):
        click.echo(
            f"{name}: no transcript from {hole['start_s']:.1f} to {hole['end_s']:.1f} s:"
            f" {hole['error']}",
            err=True,
        )
    if damage := result.get("damage"):
        click.echo(f"{name}: {damage}", err=True)
    note = result.get("note")
    if note:
        click.echo(f"{name}: {note}", err=True)
    is_empty = note and result.get("duration_s", 0) >= EMPTY_IS_WRONG_S
    return 1 if result.get("holes") or damage or is_empty else 0


def _transcribe_here(settings: Settings, requested: Sequence["Requested"]) -> int:
    failed = 0

    async def role(stop: asyncio.Event) -> None:
        nonlocal failed
        task = asyncio.create_task(_transcribe_each(settings, requested))
        await run_until_stopped(stop, task)
        if task.cancelled():
            click.echo("Stopped; no transcript was written.", err=True)
            failed = INTERRUPTED
        else:
            failed = task.result()

    run_role(role)
    return failed


async def _transcribe_each(settings: Settings, requested: Sequence["Requested"]) -> int:
    from ops.cli.jobs.progress_bars import ProgressBars
    from ops.jobs.files.atomic_file import check_writable
    from ops.jobs.transcribe.job import transcribe

    failed = 0
    names = {request.run: to_printable(paths.file.name) for request, paths in requested}
    async with open_reachable_store(settings) as store:
        link = make_link(store, settings)
        with ProgressBars(names) as bars:
            for request, paths in requested:
                try:
                    check_writable(paths.output)
                    result = await transcribe(
                        settings,
                        store,
                        link,
                        request,
                        paths,
                        job=request.run,
                        report=lambda progress, run=request.run: bars.show(  # type: ignore[misc]
                            run, "in work", asdict(progress)
                        ),
                    )
                except EarshotError as error:
                    click.echo(f"{names[request.run]}: {error}", err=True)
                    failed = 1
                    continue
                failed |= _print_result(names[request.run], result)
    return failed
