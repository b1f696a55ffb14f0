"""`safelight export`: save what is kept about the images of one user: facts and originals.

Safe to repeat: an original that is there whole is not fetched again, so a command that was stopped
goes on.
"""

import json
import sys
from pathlib import Path

from ops.exit_codes import ExitCode
from ops.exporting import ORIGINALS, Exporting, Sums
from ops.folders import Unusable, make_writable
from ops.operator import connected
from ops.tables import counted, printable
from safelight import users
from safelight.aws.settings import AwsSettings

MANIFEST = "export.json"
"""The file that says whose images a folder has, and whether all are there."""


async def export(user_id: str, out: Path, *, as_json: bool) -> ExitCode:
    """Export the images of a user to a folder; return the exit code.

    Raises `Unusable` for a text that is no user id, and for a folder that cannot be used.
    """
    if not users.is_user_id(user_id):
        raise Unusable(f"--user: must be one user id: {users.FORM}")
    settings = AwsSettings.load()
    prepare(out, user_id)
    async with connected(settings, policy="ExportPolicy") as aws:
        exporting = Exporting(
            await aws.records(), await aws.objects(), user_id=user_id, out=out, quiet=as_json
        )
        sums = await exporting.run()
    document = _write_manifest(out, user_id, sums, complete=not sums.faults)
    for image_id, fault in sums.faults.items():
        print(f"{image_id}: {printable(fault)}", file=sys.stderr)
    if as_json:
        print(document)
    else:
        print(
            f"{counted(sums.images, 'image')} of {user_id}, "
            f"{counted(sums.originals, 'original')}, {sums.size_bytes:,} bytes in {out}. "
            f"{sums.fetched:,} fetched now."
        )
    return ExitCode.FAILED if sums.faults else ExitCode.DONE


def prepare(out: Path, user_id: str) -> None:
    """Create the folder with a manifest that says whose it is and that it is not complete.

    Raises `Unusable` if the folder holds the images of another user.
    """
    make_writable(out)
    make_writable(out / ORIGINALS)
    manifest = out / MANIFEST
    if manifest.exists():
        try:
            owner = json.loads(manifest.read_bytes())["userId"]
        except (ValueError, TypeError, KeyError) as error:
            raise Unusable(f"OUT: {manifest} is not the manifest of an export") from error
        if owner != user_id:
            raise Unusable(f"OUT: {out} has the images of another user, {printable(str(owner))}")
    _write_manifest(out, user_id, Sums(), complete=False)


def _write_manifest(out: Path, user_id: str, sums: Sums, *, complete: bool) -> str:
    """Replace the manifest; return its content."""
    manifest = {
        "userId": user_id,
        "complete": complete,
        "images": sums.images,
        "originals": sums.originals,
        "bytes": sums.size_bytes,
        "faults": sums.faults,
    }
    document = json.dumps(manifest, indent=2)
    partial = out / f".{MANIFEST}.part"
    partial.write_text(document + "\n", "utf-8")
    partial.replace(out / MANIFEST)
    return document
