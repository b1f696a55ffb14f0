"""The operator's program, `safelight`. Each command is a module, imported when it is run."""

import asyncio
import os
import signal
import sys
from collections.abc import Coroutine
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from ops import KEY_VARIABLE, exit_codes
from ops.capacity.arrivals import Shape
from ops.exit_codes import ExitCode
from ops.usage import Commands
from safelight import __version__

LAST_FIRST_PORT = 65_531
SAMPLES = Path(__file__).resolve().parents[1] / "samples"


class Role(StrEnum):
    """The program whose settings and permissions `safelight doctor` checks."""

    WORKER = "worker"
    API = "api"
    DELIVERY = "delivery"
    CLEANUP = "cleanup"


app = typer.Typer(
    name="safelight",
    cls=Commands,
    help="Run, try and operate Safelight.",
    epilog=f"Exit codes: {exit_codes.listed()}",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(asked: bool) -> None:
    if asked:
        print(f"safelight {__version__}")
        raise typer.Exit


@app.callback()
def safelight(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Run, try and operate Safelight."""


@app.command()
def demo(
    photos: Annotated[
        Path, typer.Argument(help="A folder of pictures; folders below it are searched too.")
    ] = SAMPLES,
    out: Annotated[
        Path | None, typer.Option(help="Where to save variants, report.json and index.html.")
    ] = None,
    presets: Annotated[
        Path | None, typer.Option(help="The file that declares the variants.", show_default=False)
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files in OUT that no demo wrote.")
    ] = False,
) -> None:
    """Start Safelight on this machine, upload pictures, wait for the results, show them, stop.

    Passes SAFELIGHT_* settings on to the programs that have them.
    """
    from ops.demo import demo  # noqa: PLC0415 - --help must be instant

    place = out.expanduser() if out else None
    _run(demo(photos.expanduser(), place, presets=presets, overwrite=overwrite))


def _first_port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= LAST_FIRST_PORT):
        raise typer.BadParameter(
            f"PORTS: must be a whole number up to {LAST_FIRST_PORT} (five ports are used)"
        )
    return int(text)


@app.command()
def up(
    presets: Annotated[
        Path | None, typer.Option(help="The file that declares the variants.", show_default=False)
    ] = None,
    ports: Annotated[
        int | None,
        typer.Option(
            help="Use five ports from this one on: API, delivery, AWS, two workers. "
            "By default free ones.",
            parser=_first_port,
            metavar="PORT",
        ),
    ] = None,
) -> None:
    """Start Safelight on this machine and keep it running until Ctrl-C.

    Passes SAFELIGHT_* settings on to the programs that have them. Prints commands to paste.
    """
    from ops.up import up  # noqa: PLC0415 - --help must be instant

    _run(up(presets=presets, first_port=ports))


@app.command()
def upload(
    files: Annotated[
        list[Path], typer.Argument(help="Picture files.", exists=True, dir_okay=False)
    ],
    api: Annotated[str, typer.Option(help="The API's address, such as http://127.0.0.1:8080.")],
    key: Annotated[
        str | None, typer.Option(help="An API key.", envvar=KEY_VARIABLE, show_envvar=True)
    ] = None,
    user: Annotated[
        str | None, typer.Option(help="The user to upload for, if the API key may name users.")
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option(help="A tag for every picture; may be repeated.")
    ] = None,
    keep_days: Annotated[
        int | None,
        typer.Option(help="Days for which to keep the images. By default the API decides.", min=1),
    ] = None,
    replace: Annotated[
        str | None, typer.Option(help="The image whose picture the file replaces.", metavar="ID")
    ] = None,
) -> None:
    """Upload pictures through the API and wait until each is completed or rejected."""
    from ops.upload import upload  # noqa: PLC0415 - --help must be instant

    if not api.startswith(("http://", "https://")):
        raise typer.BadParameter(
            f"must begin with http:// or https://, as in http://127.0.0.1:8080; found {api!r}",
            param_hint="--api",
        )
    if replace and len(files) > 1:
        raise typer.BadParameter("replaces the picture by one file", param_hint="--replace")
    _run(
        upload(
            files, api_url=api, key=key, user=user, tags=tag or (), keep_days=keep_days,
            replacing=replace,
        )
    )  # fmt: skip


@app.command("list")
def list_(
    user: Annotated[
        str | None,
        typer.Option(help="The user whose images to list, such as key:NAME or oidc:SUB."),
    ] = None,
    status: Annotated[
        list[str] | None,
        typer.Option(help="pending, completed, rejected or erased. By default all but erased."),
    ] = None,
    media_type: Annotated[
        list[str] | None, typer.Option(help="Media type of the source, such as image/heic.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Earliest upload, such as 2026-11-28T00:00:00Z.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Latest upload.")] = None,
    min_width: Annotated[int | None, typer.Option(help="In pixels of the source.")] = None,
    max_width: Annotated[int | None, typer.Option(help="As above.")] = None,
    min_height: Annotated[int | None, typer.Option(help="As above.")] = None,
    max_height: Annotated[int | None, typer.Option(help="As above.")] = None,
    filename: Annotated[
        str | None, typer.Option(help="The beginning of the file name, in exact case.")
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option(help="A tag, in exact case; all of up to five.")
    ] = None,
    like: Annotated[
        str | None, typer.Option(help="The id of an image of the user: only similar ones.")
    ] = None,
    distance: Annotated[
        int, typer.Option(help="With --like: the most bits that may differ, 0 to 16.")
    ] = 8,
    limit: Annotated[
        int | None, typer.Option(help="The most images. By default all.", min=1)
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object on each line.")
    ] = False,
) -> None:
    """List the images of a user, the newest first. All conditions must hold.

    Without --user it lists the settled images of all users; --since and --until are then
    about the time of the settlement. --status, --media-type and --tag may be repeated. Reads
    the table that SAFELIGHT_TABLE names, with the permissions of OperatorPolicy.
    SAFELIGHT_UPLOADS_BUCKET and SAFELIGHT_ASSETS_BUCKET must be set too.
    """
    from ops.list_images import list_images  # noqa: PLC0415 - --help must be instant

    conditions = {
        "user": user,
        "status": tuple(status or ()),
        "mediaType": tuple(media_type or ()),
        "since": since,
        "until": until,
        "minWidth": min_width,
        "maxWidth": max_width,
        "minHeight": min_height,
        "maxHeight": max_height,
        "filename": filename,
        "tag": tuple(tag or ()),
        "like": like,
        "distance": distance,
    }
    _run(list_images(conditions, limit=limit, as_json=as_json))


@app.command()
def reindex(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count what is missing; write nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write missing tag entries and days of settled images, so that lists and searches find them.

    Run it once after an upgrade from a version without them. It is harmless to repeat and to
    stop. Reads SAFELIGHT_TABLE, SAFELIGHT_UPLOADS_BUCKET, SAFELIGHT_ASSETS_BUCKET and
    SAFELIGHT_ID_SECRET; needs the permissions of OperatorPolicy.
    """
    from ops.reindex import reindex  # noqa: PLC0415 - --help must be instant

    _run(reindex(dry_run=dry_run, as_json=as_json))


@app.command()
def show(
    image_id: Annotated[str, typer.Argument(help="An image id.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show an image: its record, its assets and versions in the buckets, what viewers get.

    Exits with 1 if there is no record, an asset of the record is missing, or no search finds
    the image by one of its tags; with 3 if it was rejected or erased, or lacks a variant. Reads
    the settings of delivery and the names of the table and the buckets; needs the permissions
    of OperatorPolicy. Asset keys, version ids and signed URLs are secrets.
    """
    from ops.show import show  # noqa: PLC0415 - --help must be instant

    _run(show(image_id, as_json=as_json))


@app.command()
def export(
    out: Annotated[Path, typer.Argument(help="Where to save the originals and the facts.")],
    user: Annotated[
        str, typer.Option(help="The user whose images to export, such as key:NAME or oidc:SUB.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Save all images of a user: the originals, and what is stored about each.

    Writes images.jsonl, originals/ and export.json into OUT. A repeated command fetches only the
    originals that are missing there. Exits with 1 if an original cannot be fetched. Reads
    SAFELIGHT_TABLE, SAFELIGHT_UPLOADS_BUCKET and SAFELIGHT_ASSETS_BUCKET; needs the permissions
    of ExportPolicy.
    """
    from ops.export import export  # noqa: PLC0415 - --help must be instant

    _run(export(user, out.expanduser(), as_json=as_json))


@app.command()
def erase(
    image_ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID...", help="Image ids.")
    ] = None,
    user: Annotated[
        str | None, typer.Option(help="Erase all images that this user uploaded up to now.")
    ] = None,
    results_of: Annotated[
        str | None,
        typer.Option(
            "--object",
            metavar="ALIAS/PATH",
            help="Delete what was rendered from this object of an alias, not the object.",
        ),
    ] = None,
    again: Annotated[
        bool,
        typer.Option("--again", help="Repeat erasures: a backup was restored. Needs --since."),
    ] = False,
    since: Annotated[
        str | None,
        typer.Option(help="With --again: the time of the backup, such as 2026-11-28."),
    ] = None,
    expired: Annotated[
        bool, typer.Option("--expired", help="Erase the images that are past their keepUntil.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be erased; change nothing.")
    ] = False,
    wait: Annotated[
        bool,
        typer.Option(
            "--wait",
            help="Wait until all is complete, about 16 minutes and up to 10 more if all caches are "
            "flushed; print the receipts.",
        ),
    ] = False,
    flush: Annotated[
        bool,
        typer.Option(
            "--flush", help="Invalidate all copies at the edge at once; cheaper for many images."
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --user: do not ask.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object on each line.")
    ] = False,
) -> None:
    """Erase images for good: sources, variants, tag entries and copies at the edge.

    Sends messages to CleanupQueue; workers of the role cleanup delete. Safe to repeat. Reads
    SAFELIGHT_CLEANUP_QUEUE_URL, SAFELIGHT_ID_SECRET and the names of the table and the buckets,
    and with --object the settings of delivery; needs the permissions of OperatorPolicy.
    """
    from ops.erase import Wanted, erase  # noqa: PLC0415 - --help must be instant
    from ops.erasing import How  # noqa: PLC0415 - as above
    from ops.folders import Unusable  # noqa: PLC0415 - as above

    try:
        wanted = Wanted.of(
            image_ids or (), user=user, results_of=results_of, again=again, since=since,
            expired=expired,
        )  # fmt: skip
    except Unusable as error:
        print(error, file=sys.stderr)
        raise typer.Exit(ExitCode.UNUSABLE) from error
    how = How(
        dry_run=dry_run, wait=wait, as_json=as_json, confirmed=yes,
        caches="flush" if flush else "tag",
    )  # fmt: skip
    _run(erase(wanted, how))


@app.command()
def render(
    files: Annotated[
        list[Path],
        typer.Argument(help="Picture files.", exists=True, dir_okay=False, readable=True),
    ],
    out: Annotated[Path, typer.Option(help="Where to save variants, in one folder per picture.")],
    presets: Annotated[
        Path | None, typer.Option(help="The file that declares the variants.", show_default=False)
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace existing variants.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Render pictures on this machine exactly as a worker would.

    Reads presets and limits from the worker's settings.
    """
    from ops.render import render  # noqa: PLC0415 - --help must be instant

    _run(render(files, out=out, presets=presets, overwrite=overwrite, as_json=as_json))


@app.command()
def redrive(
    reason: Annotated[
        str | None,
        typer.Argument(help="Send back letters with this reason, or `all`."),
    ] = None,
    rate: Annotated[float, typer.Option(help="Messages sent per second at most.", min=0.1)] = 10,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be sent; change nothing.")
    ] = False,
    show: Annotated[
        bool, typer.Option("--show", help="Print each letter with its id; change nothing.")
    ] = False,
    delete: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="Delete the letter of this id for good; repeatable."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List dead letters by reason, show or delete single ones, and send them back.

    Messages of the role cleanup are sent to CleanupQueue, all others to RendersQueue. An S3
    event is replaced by its source key, and a worker processes the object that S3 has now.
    Reads SAFELIGHT_RENDERS_QUEUE_URL, SAFELIGHT_CLEANUP_QUEUE_URL,
    SAFELIGHT_DEAD_LETTER_QUEUE_URL and SAFELIGHT_UPLOADS_BUCKET; needs the permissions of
    OperatorPolicy.
    """
    from ops.redrive import Wanted, redrive  # noqa: PLC0415 - --help must be instant

    if delete and (reason or show or dry_run):
        raise typer.BadParameter(
            "give it without a reason, --show and --dry-run", param_hint="--delete"
        )
    wanted = Wanted(
        reason=reason,
        rate=rate,
        dry_run=dry_run,
        show=show,
        delete=tuple(delete or ()),
        as_json=as_json,
    )
    _run(redrive(wanted))


@app.command()
def capacity(
    per_day: Annotated[float, typer.Option(help="Pictures per day.")] = 1_000_000,
    shape: Annotated[
        Shape,
        typer.Option(help="How they arrive: at a constant rate, in a daily wave, or in a burst."),
    ] = Shape.CONSTANT,
    burst: Annotated[float, typer.Option(help="Pictures in the burst.")] = 3000,
    burst_seconds: Annotated[float, typer.Option(help="Length of the burst.")] = 60,
    arrivals: Annotated[
        Path | None,
        typer.Option(
            help="A CSV file instead: seconds at the start of an interval, pictures in it."
        ),
    ] = None,
    seconds_per_picture: Annotated[
        float, typer.Option(help="Time one picture occupies a slot; `make load` measures it.")
    ] = 0.46,
    slots: Annotated[
        int, typer.Option(help="Pictures that one task renders at once (WorkerSlots).")
    ] = 2,
    start_up_seconds: Annotated[
        float, typer.Option(help="Time until a new task receives messages.")
    ] = 60,
    metric_delay_seconds: Annotated[
        float, typer.Option(help="Delay of CloudWatch's metrics after the end of their minute.")
    ] = 60,
    parameter: Annotated[
        list[str] | None,
        typer.Option(help="A parameter of workers.yaml, such as WorkerMaxTasks=4000; repeatable."),
    ] = None,
    chart: Annotated[Path | None, typer.Option(help="Write a chart to this SVG file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Simulate how workers scale under a load: waiting times, tasks, cost, and AWS quotas.

    Reads scaling policies from deploy/ecs/workers.yaml and prices from ops/prices.toml. Calls no
    service.
    """
    from ops.capacity.arrivals import InvalidArrivals  # noqa: PLC0415 - --help must be instant
    from ops.capacity.command import capacity  # noqa: PLC0415 - as above
    from ops.capacity.scenario import InvalidScenario, Scenario  # noqa: PLC0415 - as above
    from ops.cloudformation import InvalidTemplate  # noqa: PLC0415 - as above
    from ops.folders import Unusable  # noqa: PLC0415 - as above

    try:
        scenario = Scenario.of(
            per_day=per_day,
            shape=shape,
            burst=burst,
            burst_seconds=burst_seconds,
            arrivals=arrivals,
            seconds_per_picture=seconds_per_picture,
            slots=slots,
            start_up_seconds=start_up_seconds,
            metric_delay_seconds=metric_delay_seconds,
            parameter=parameter or (),
        )
        capacity(scenario, chart=chart, as_json=as_json)
    except (InvalidScenario, InvalidArrivals, InvalidTemplate, Unusable) as error:
        print(error, file=sys.stderr)
        raise typer.Exit(ExitCode.UNUSABLE) from error


@app.command()
def sign(
    path: Annotated[
        str,
        typer.Argument(
            help="PRESET/IMAGE_ID, ALIAS/PATH, an asset key, OPTIONS/SOURCE, or a dialect's path "
            "without its signature."
        ),
    ],
    dialect: Annotated[
        str | None,
        typer.Option(
            "--as",
            help="Grammar: preset, own, thumbor, imgproxy, aws or imgix. By default preset if the "
            "path begins with a preset, an alias or images, else own.",
            show_default=False,
        ),
    ] = None,
    expires_in: Annotated[
        int | None, typer.Option(help="Seconds until the URL expires (preset and own).", min=1)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Sign a URL with the first key of its kind.

    Reads SAFELIGHT_SIGNING_KEYS, SAFELIGHT_OPTIONS_KEYS and the keys of other dialects, and
    SAFELIGHT_PRESETS and SAFELIGHT_ALIASES.
    """
    from ops.sign import sign  # noqa: PLC0415 - --help must be instant

    _run(sign(path, dialect=dialect, expires_in=expires_in, as_json=as_json))


@app.command()
def explain(
    url: Annotated[
        str | None, typer.Argument(help="A URL that delivery answers, or its path and query.")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            help="Count how the URLs of a file would be answered; - reads standard input."
        ),
    ] = None,
    dialect: Annotated[
        str | None,
        typer.Option("--as", help="The dialect to read the URL or the file by, also without keys."),
    ] = None,
    ask: Annotated[
        bool,
        typer.Option("--ask", help="Request the URL too, and print the answer that viewers get."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Explain what a URL asks for, and why it would be refused.

    Reads the settings of delivery: the keys, SAFELIGHT_ALIASES and SAFELIGHT_PRESETS. Exits with 3
    if viewers would get an error. Only --ask can find that a picture is missing. With --report,
    counts the URLs of another system: one in each line, or its access log (common, combined,
    CloudFront's or an ALB's; .gz too). Then it exits with 3 if one of them would be refused.
    """
    from ops.explain import explain  # noqa: PLC0415 - --help must be instant

    if report is not None and url is None:
        from ops.url_report import report as report_on  # noqa: PLC0415 - as above

        _run(report_on(report, dialect=dialect, as_json=as_json))
    if url is None or report is not None:
        raise typer.BadParameter("give a URL or --report FILE, with or without --as DIALECT")
    _run(explain(url, dialect=dialect, ask=ask, as_json=as_json))


@app.command()
def doctor(
    role: Annotated[
        Role | None,
        typer.Argument(
            help="Program whose settings and permissions to check; run it with its credentials."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check a deployment's settings, permissions and resources. Exits with 1 on any failure.

    Reads the settings of the programs. Calls AWS and changes nothing. The check of a worker or
    of cleanup receives one message, if there is any, and returns it to the queue.
    """
    from ops.doctor.command import doctor  # noqa: PLC0415 - --help must be instant

    _run(doctor(role.value if role else None, as_json=as_json))


def _run(command: Coroutine[Any, Any, int | None]) -> None:
    """Run a command and exit with its code. SIGTERM and a closed terminal act like Ctrl-C.

    Every failure that a command has a class for becomes one text and the code of its kind.
    """
    from ops.cloudformation import InvalidTemplate  # noqa: PLC0415 - --help must be instant
    from ops.folders import NotWritten, Unusable  # noqa: PLC0415 - as above
    from ops.local.processes import ChildDied  # noqa: PLC0415 - as above
    from ops.local.stack import StackFailed  # noqa: PLC0415 - as above
    from safelight.errors import InvalidConfiguration, SafelightError  # noqa: PLC0415 - as above

    async def interruptible() -> int | None:
        task = asyncio.current_task()
        assert task  # noqa: S101 - a coroutine that runs has one
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        return await command

    try:
        code = asyncio.run(interruptible())
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("Stopped.", file=sys.stderr)
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    except (Unusable, InvalidConfiguration, InvalidTemplate) as error:
        print(error, file=sys.stderr)
        raise typer.Exit(ExitCode.UNUSABLE) from error
    except (ChildDied, NotWritten, StackFailed, SafelightError) as error:
        print(error, file=sys.stderr)
        raise typer.Exit(ExitCode.FAILED) from error
    except BrokenPipeError:  # the reader, such as head, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(ExitCode.DONE) from None
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        print(f"{error.strerror or error}{where}", file=sys.stderr)
        raise typer.Exit(ExitCode.FAILED) from error
    raise typer.Exit(code or ExitCode.DONE)


def main() -> None:
    """Run `safelight`."""
    app()


if __name__ == "__main__":
    main()
