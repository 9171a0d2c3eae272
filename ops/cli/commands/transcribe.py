"""`earshot transcribe`: long recordings, through the same STT pool."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from common.errors import BadInput, EarshotError
from common.redis.opening import make_link, open_reachable_store
from common.redis.server import now_ms
from common.settings import Settings
from common.stopping import run_until_stopped
from ops.cli.options import log_options, redis_options, setting, settings_and_logs
from ops.local.process_exit import INTERRUPTED
from ops.local.signals import run_role

# these bring NumPy and RQ along, which --help must not wait for
if TYPE_CHECKING:
    from ops.jobs.transcribe.request import FormatName, Request

KIND = "transcribe"


@click.command("transcribe")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--format",
    "kind",
    type=click.Choice(["txt", "srt", "vtt", "json"]),
    help="Of the transcript; by default what --output ends in, or txt.",
)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    help="The transcript's file, or a folder; by default beside the recording.",
)
@click.option("--overwrite", is_flag=True, help="Replace a transcript that is there.")
@click.option("--here", is_flag=True, help="Cut it in this process: no `earshot jobs` is needed.")
@click.option("--detach", is_flag=True, help="Do not wait for it.")
@click.option("--attach", metavar="JOB", help="Watch a job that runs already.")
@setting("--language", "listen.language", metavar="CODE")
@setting("--preset", "listen.preset", metavar="command|conversation|dictation")
@setting("--jobs-redis-url", "jobs.redis_url", metavar="URL")
@setting("--folder", "jobs.folder", metavar="FOLDER")
@redis_options
@log_options
@click.pass_context
def command(
    ctx: click.Context,
    files: Sequence[Path],
    kind: "FormatName | None",
    output: Path | None,
    overwrite: bool,
    here: bool,
    detach: bool,
    attach: str | None,
) -> None:
    """Transcribe recordings of any length, behind live speech.

    `earshot jobs` reads the file, under the same path or in the folder of EARSHOT_JOBS__FOLDER,
    and writes the transcript beside it, whole. Ctrl+C leaves the job to go on.

    \b
    earshot transcribe talk.mp3                      talk.txt
    earshot transcribe meeting.m4a --format srt      meeting.srt
    earshot transcribe *.wav --output transcripts/
    earshot transcribe talk.mp3 --here               without `earshot jobs`
    """
    settings = settings_and_logs(ctx)
    if sum((here, detach, attach is not None)) > 1 or (attach is None) != bool(files):
        raise BadInput("name recordings, with --here or --detach if you like, or --attach a JOB")
    if attach is not None:
        ctx.exit(_watch(settings, {attach: attach}))
    requests = asyncio.run(_asked(settings, files, kind, output, overwrite))
    ctx.exit(_here(settings, requests) if here else _enqueue(settings, requests, detach))


async def _asked(
    settings: Settings,
    files: Sequence[Path],
    kind: "FormatName | None",
    output: Path | None,
    overwrite: bool,
) -> list["Request"]:
    from ops.jobs.transcribe.request import make_request

    targets = [_target(file, kind, output, len(files)) for file in files]
    if len({target.resolve() for target, _ in targets}) < len(targets):
        raise BadInput("two of these recordings would be written to the same transcript")
    recordings = {file.resolve() for file in files}
    for target, _ in targets:
        if target.resolve() in recordings:
            raise BadInput(f"{target} is a recording: give the transcript another name (--output)")
        if target.exists() and not overwrite:
            raise BadInput(f"{target} is there already: --overwrite replaces it")
        if not target.parent.is_dir():
            raise BadInput(f"{target} cannot be written: there is no folder {target.parent}")
    async with open_reachable_store(settings) as store:
        now = await now_ms(store.redis)
    return [
        make_request(file, target, form, settings, now)
        for file, (target, form) in zip(files, targets, strict=True)
    ]


def _target(
    file: Path, kind: "FormatName | None", output: Path | None, count: int
) -> tuple[Path, "FormatName"]:
    from ops.jobs.transcribe.formats import FORMATS

    into_folder = output is not None and (output.is_dir() or count > 1)
    if into_folder and output is not None and not output.is_dir():
        raise BadInput(f"--output {output} is no folder, and there are {count} recordings")
    suffix = output.suffix[1:].lower() if output is not None and not into_folder else ""
    form: Any = kind or (suffix if suffix in FORMATS else "txt")
    if output is not None and not into_folder:
        return output, form
    name = file.with_suffix(f".{form}")
    return name if output is None else output / name.name, form


def _enqueue(settings: Settings, requests: Sequence["Request"], detach: bool) -> int:
    from ops.jobs.connection import reached
    from ops.jobs.queues import enqueue, job_id

    names: dict[str, str] = {}
    with reached(settings) as redis:
        for request in requests:
            # the run is new each time; what makes it the same job is what is wanted
            wanted = request.model_dump(exclude={"run", "session", "since"})
            identity = job_id(KIND, *wanted.values())
            arguments = request.model_dump()
            job, is_new = enqueue(redis, settings.jobs, KIND, identity, arguments, again="always")
            names[job.id] = Path(request.file).name
            known = "" if is_new else ", in work already"
            click.echo(f"{request.file}: job {job.id}{known}", err=True)
    return 0 if detach else _watch(settings, names)


def _watch(settings: Settings, names: dict[str, str]) -> int:
    from ops.cli.jobs.bars import Bars
    from ops.cli.jobs.watching import watch
    from ops.jobs.connection import reached

    try:
        with reached(settings) as redis, Bars(names) as bars:
            ended = watch(
                redis,
                dict.fromkeys(names, KIND),
                lambda identity, seen: bars.show(identity, seen.state, seen.progress),
            )
    except KeyboardInterrupt:
        again = "\n".join(f"earshot transcribe --attach {identity}" for identity in names)
        click.echo(f"The job goes on; to watch it again:\n{again}", err=True)
        return INTERRUPTED
    failed = 0
    for identity, seen in ended.items():
        if seen.done:
            failed += _told(names[identity], seen.result)
        else:
            click.echo(f"{names[identity]}: {seen.error}", err=True)
            failed += 1
    return 1 if failed else 0


def _told(name: str, result: Any) -> int:
    """Say what came out; 1 if something is missing from it."""
    click.echo(result.get("output", ""))
    for hole in result.get("holes", []):
        click.echo(
            f"{name}: nothing from {hole['start_s']:.1f} to {hole['end_s']:.1f} s: {hole['error']}",
            err=True,
        )
    if damage := result.get("damage"):
        click.echo(f"{name}: {damage}", err=True)
    return 1 if result.get("holes") or damage else 0


def _here(settings: Settings, requests: Sequence["Request"]) -> int:
    failed = 0

    async def role(stop: asyncio.Event) -> None:
        nonlocal failed
        task = asyncio.create_task(_each_here(settings, requests))
        await run_until_stopped(stop, task)
        if task.cancelled():
            click.echo("Given up; nothing was written.", err=True)
            failed = INTERRUPTED
        else:
            failed = task.result()

    run_role(role)
    return failed


async def _each_here(settings: Settings, requests: Sequence["Request"]) -> int:
    from ops.cli.jobs.bars import Bars
    from ops.jobs.transcribe.job import transcribe

    failed = 0
    names = {request.run: Path(request.file).name for request in requests}
    async with open_reachable_store(settings) as store:
        link = make_link(store, settings)
        with Bars(names) as bars:
            for request in requests:
                try:
                    result = await transcribe(
                        settings,
                        store,
                        link,
                        request,
                        job=request.run,
                        tell=lambda progress, run=request.run: bars.show(  # type: ignore[misc]
                            run, "in work", asdict(progress)
                        ),
                    )
                except EarshotError as error:
                    click.echo(f"{names[request.run]}: {error}", err=True)
                    failed = 1
                    continue
                failed |= _told(names[request.run], result)
    return failed
