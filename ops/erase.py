"""`safelight erase`: ask the role `cleanup` to erase images.

It deletes nothing itself, so an operator needs no permission for that. Every message is harmless to
repeat.
"""

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from pydantic import Field

from api.settings import DeliverySettings
from ops.erase_targets import Records, Target, erased_before, named
from ops.erasing import Erasing, How
from ops.exit_codes import ExitCode
from ops.expired import expired
from ops.folders import Unusable
from ops.operator import connected
from ops.reach import Reach
from safelight import keys, users
from safelight.aws.session import Aws
from safelight.aws.settings import AwsSettings
from safelight.erasures import By
from safelight.image_ids import IdSettings


class EraseSettings(AwsSettings, IdSettings):
    """Settings of `safelight erase`. It needs the permissions of OperatorPolicy."""

    cleanup_queue_url: str = Field(min_length=1, description="CleanupQueue, the target.")


class AliasSettings(EraseSettings, DeliverySettings):
    """Settings of `safelight erase --object`: those of delivery too, for its aliases."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to erase: one of these."""

    image_ids: tuple[str, ...] = ()
    user: str | None = None
    results_of: str | None = None
    """ALIAS/PATH, whose results are deleted."""
    again_since: float | None = None
    """The time of the earliest erasure to repeat, in seconds since 1970."""
    expired: bool = False
    """Whether to erase the images whose time is over."""

    @classmethod
    def of(
        cls,
        image_ids: Sequence[str],
        *,
        user: str | None = None,
        results_of: str | None = None,
        again: bool = False,
        since: str | None = None,
        expired: bool = False,
    ) -> Self:
        """Check the options of the command. Raises `Unusable`."""
        chosen = (image_ids, user is not None, results_of is not None, again, expired)
        if sum(map(bool, chosen)) != 1:
            raise Unusable("Give image ids, or one of --user, --object, --again and --expired.")
        if again is (since is None):
            raise Unusable("--since: needed with --again, and with nothing else")
        if user is not None and not users.is_user_id(user):
            raise Unusable(f"--user: must be one user id: {users.FORM}")
        return cls(
            image_ids=tuple(map(_image_id, image_ids)),
            user=user,
            results_of=results_of,
            again_since=None if since is None else moment(since),
            expired=expired,
        )


async def erase(wanted: Wanted, how: How) -> ExitCode:
    """Send the messages, and on request wait for the receipts."""
    if wanted.results_of is not None:
        aliases = AliasSettings.load()
        results = results_of(wanted.results_of, aliases)
    settings = EraseSettings.load()
    async with connected(settings) as aws:
        erasing = Erasing(
            records=await aws.records(),
            inventory=await aws.inventory(),
            documents=await aws.documents(),
            queue=await aws.queue(settings.cleanup_queue_url),
            how=how,
        )
        if wanted.results_of is not None:
            await erasing.erase_results(results)
        elif wanted.user is not None:
            await erasing.erase_user(wanted.user)
        else:
            by: By = "retention" if wanted.expired else "operator"
            await erasing.erase_images(await targets(wanted, aws, settings), by=by)
    return ExitCode.DONE


async def targets(wanted: Wanted, aws: Aws, settings: EraseSettings) -> AsyncIterator[Target]:
    """Return the images to erase."""
    records = await aws.records()
    if wanted.again_since is not None:
        return erased_before(
            records,
            await aws.inventory(),
            await aws.documents(),
            since=wanted.again_since,
            ids=settings.image_ids,
            bucket=settings.uploads_bucket,
        )
    if wanted.expired:
        return past_their_time(records, now=round(1000 * time.time()))
    return named(records, wanted.image_ids)


async def past_their_time(records: Records, *, now: int) -> AsyncIterator[Target]:
    """Yield the images that are not kept after `now` (ms since 1970), by their records."""
    async for summary in expired(records, now=now):
        record = await records.get(summary.image_id)
        if record and record.erasure is None and (record.keep_until or now + 1) <= now:
            yield Target(image_id=record.image_id, key=record.original_key)


def results_of(path: str, settings: AliasSettings) -> tuple[str, ...]:
    """Return the ids that the results of an alias's object may have. Raises `Unusable`."""
    name, _, below = path.partition("/")
    alias = (Reach.of(settings).aliases or {}).get(name)
    if alias is None or not below:
        raise Unusable(f"--object: SAFELIGHT_ALIASES has no alias of {path[:80]!r}")
    return tuple(
        settings.image_ids.of_object(bucket=alias.bucket, key=alias.prefix + spelling)
        for spelling in keys.spellings_of(below)
    )


def moment(text: str) -> float:
    """Read a date or a time of RFC 3339; return seconds since 1970. Raises `Unusable`."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise Unusable(
            f"--since: must be a date or a time such as 2026-11-29T08:00:00Z; found {text[:80]!r}"
        ) from error
    return found.replace(tzinfo=found.tzinfo or UTC).timestamp()


def _image_id(text: str) -> str:
    found = keys.read_image_id(text)
    if found is None:
        raise Unusable(f"ID: must be an image id of 26 characters; found {text[:80]!r}")
    return found
