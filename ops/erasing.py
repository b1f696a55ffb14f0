"""Sends requests to the role `cleanup`, prints what they are about, and waits for their end."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import typer
from rich.console import Console

from ops.erase_targets import Documents, Holdings, Inventory, Records, Target, holdings_of, of_user
from ops.folders import Unusable
from ops.tables import counted
from safelight import keys
from safelight.erasures import By, Caches, Erasure, Receipt
from safelight.queued import DeleteAssets, EraseImage, EraseUser
from safelight.user_erasures import UserErasure, counts_key
from worker.cleanup.erase_user import MOST_TAGS

FLUSHED = "; all caches are flushed together with other erasures, up to 10 minutes later"
"""Why an erasure that flushes takes longer than one that invalidates by tag."""
HELD = "{}: S3 refuses to delete an object, see docs/operate/runbooks/erasure-refused.md"
"""What is printed, once for each image, if S3 keeps an object of it."""
POLL_SECONDS = 2
"""The time between two looks at an erasure that is waited for."""


class Queue(Protocol):
    """CleanupQueue."""

    async def send(self, body: str) -> None:
        """Send a message."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """What the command does beside sending, and how it prints."""

    dry_run: bool = False
    wait: bool = False
    as_json: bool = False
    confirmed: bool = False
    caches: Caches = "tag"
    poll_seconds: float = POLL_SECONDS


class Erasing:
    """One run of `safelight erase`."""

    def __init__(
        self,
        *,
        records: Records,
        inventory: Inventory,
        documents: Documents,
        queue: Queue,
        how: How,
    ) -> None:
        self._records = records
        self._inventory = inventory
        self._documents = documents
        self._queue = queue
        self._how = how

    async def erase_images(self, found: AsyncIterator[Target], *, by: By) -> None:
        """Send a message for each image, and on request wait for the receipts."""
        if self._how.dry_run:
            await self._sum_up(found)
            return
        before: dict[str, Erasure | None] = {}
        async for target in found:
            message = EraseImage(
                image_id=target.image_id,
                key=target.key,
                by=by,
                at=_now(),
                caches=self._how.caches,
            )
            before[target.image_id] = await self._erasure_of(target.image_id)
            await self._queue.send(message.to_json())
            self._say({"imageId": target.image_id, "state": "requested"})
        print(f"Requested the erasure of {counted(len(before), 'image')}.", file=sys.stderr)
        if self._how.wait:
            await self._wait_for(before)

    async def erase_user(self, user_id: str) -> None:
        """Send the message that erases all images of a user, if the operator confirms it."""
        found = of_user(self._records, user_id)
        if self._how.dry_run:
            await self._sum_up(found)
            return
        number = len([target async for target in found])
        self._confirm(f"Erase {counted(number, 'image')} of {user_id}, for good?")
        message = EraseUser(
            erasure_id=keys.new_image_id(), user_id=user_id, before=_now(), by="operator"
        )
        await self._queue.send(message.to_json())
        self._say({"erasureId": message.erasure_id, "state": "requested"})
        if self._how.wait:
            await self._wait_for_user(message.erasure_id)

    async def erase_results(self, image_ids: Sequence[str]) -> None:
        """Send the messages that delete all results under ids that belong to no record."""
        if self._how.dry_run:
            await self._sum_up(_without_key(image_ids))
            return
        for image_id in image_ids:
            await self._queue.send(DeleteAssets(image_id=image_id, at=_now()).to_json())
            self._say({"imageId": image_id, "state": "requested"})

    async def _sum_up(self, found: AsyncIterator[Target]) -> None:
        """Print what there is of each image, and the sums."""
        images = versions = objects = size_bytes = 0
        async for target in found:
            one: Holdings = await holdings_of(target, self._inventory)
            images, versions = images + 1, versions + one.versions
            objects, size_bytes = objects + one.objects, size_bytes + one.size_bytes
            counts = {"versions": one.versions, "objects": one.objects, "bytes": one.size_bytes}
            self._say({"imageId": target.image_id, **counts})
        print(
            f"Would erase {counted(images, 'image')}: {counted(versions, 'version')}, "
            f"{counted(objects, 'asset')}, {size_bytes:,} bytes.",
            file=sys.stderr,
        )

    def _confirm(self, question: str) -> None:
        if self._how.confirmed:
            return
        if not sys.stdin.isatty():
            raise Unusable(f"{question} Confirm it with --yes.")
        if not typer.confirm(question, err=True):
            raise Unusable("Nothing was erased.")

    async def _erasure_of(self, image_id: str) -> Erasure | None:
        """Return the progress before the message, if the erasure will be waited for."""
        record = await self._records.get(image_id) if self._how.wait else None
        return record.erasure if record else None

    async def _wait_for(self, before: Mapping[str, Erasure | None]) -> None:
        """Wait until each erasure has progressed and is complete, and print its receipt.

        Every message is a step of the tombstone, so an earlier receipt is not taken for its own.
        The clocks of this machine and of cleanup need not agree.
        """
        left, held = dict(before), set[str]()
        with Console(stderr=True).status("") as status:
            while left:
                for image_id in tuple(left):
                    record = await self._records.get(image_id)
                    if record is None or record.erasure in (None, left[image_id]):
                        continue
                    if record.erasure and record.erasure.state == "complete":
                        del left[image_id]
                        self._say(Receipt.of(record).to_document())
                    elif record.erasure and record.erasure.is_held and image_id not in held:
                        held.add(image_id)
                        print(HELD.format(image_id), file=sys.stderr)
                status.update(progress_of_images(len(left), self._how.caches))
                await asyncio.sleep(self._how.poll_seconds if left else 0)

    async def _wait_for_user(self, erasure_id: str) -> None:
        """Wait until all images of the user are erased, and print the counts."""
        with Console(stderr=True).status("") as status:
            while True:
                text = await self._documents.read(counts_key(erasure_id), lists=False)
                counts = UserErasure.model_validate_json(text) if text else None
                if counts and counts.state == "complete":
                    break
                if counts:
                    status.update(progress_of_user(counts))
                await asyncio.sleep(self._how.poll_seconds)
        self._say(counts.model_dump(by_alias=True, exclude_none=True))

    def _say(self, document: dict[str, Any]) -> None:
        """Print a document in one line: as JSON, or its plain members as words."""
        if self._how.as_json:
            print(json.dumps(document), flush=True)
            return
        plain = (one for one in document.items() if isinstance(one[1], str | int))
        print("  ".join(f"{name} {value}" for name, value in plain), flush=True)


def progress_of_images(left: int, caches: Caches) -> str:
    """Return the line that is shown while erasures are waited for."""
    return f"{counted(left, 'erasure')} not complete yet{FLUSHED if caches == 'flush' else ''}"


def progress_of_user(counts: UserErasure) -> str:
    """Return the line that is shown while the erasure of a user is waited for."""
    flushed = FLUSHED if counts.images > MOST_TAGS else ""
    return f"{counts.complete} of {counts.images} erasures complete{flushed}"


async def _without_key(image_ids: Sequence[str]) -> AsyncIterator[Target]:
    for image_id in image_ids:
        yield Target(image_id=image_id, key=None)


def _now() -> int:
    return round(1000 * time.time())
