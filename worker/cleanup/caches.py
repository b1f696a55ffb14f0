"""Copies of an image in the caches of a distribution."""

from safelight.aws.cdn import EVERYTHING, tagged
from safelight.erasures import Erasure
from worker.cleanup import steps
from worker.cleanup.collaborators import Cdn


class Caches:
    """Starts invalidations for erasures. A repeated one starts nothing."""

    def __init__(self, cdn: Cdn | None) -> None:
        self._cdn = cdn
        self._last_flush = ("", "")
        """The reference and the id of the flush that was asked for last."""

    def may_have(self, erasure: Erasure) -> bool:
        """Return whether there is a cache that may have a copy of the image."""
        return self._cdn is not None and not steps.was_never_delivered(erasure)

    async def invalidate(self, image_id: str, erasure: Erasure) -> tuple[str, str]:
        """Start the invalidation that follows a deletion; return the distribution and its id.

        The reference has the time after the deletion. A number would begin again with a second
        image of the same id, and then CloudFront would start nothing. Raises the `SafelightError`
        of CloudFront's refusal, and `ValueError` without a distribution.
        """
        if self._cdn is None:
            raise ValueError("there is no distribution")
        if erasure.caches == "flush":
            invalidation = await self._flush(self._cdn, f"flush-{erasure.due_at}")
        else:
            reference = f"{image_id}-{erasure.due_at}"
            invalidation = await self._cdn.invalidate(tagged(image_id), reference=reference)
        return self._cdn.distribution_id, invalidation

    async def _flush(self, cdn: Cdn, reference: str) -> str:
        """Ask once for the flush that many erasures share."""
        if self._last_flush[0] != reference:
            invalidation = await cdn.invalidate(EVERYTHING, reference=reference)
            self._last_flush = (reference, invalidation)
        return self._last_flush[1]

    async def have_no_copy(self, erasure: Erasure) -> bool:
        """Return whether the last invalidation has finished, or there was none."""
        if erasure.invalidation is None or self._cdn is None:
            return True
        return await self._cdn.has_finished(erasure.invalidation)
