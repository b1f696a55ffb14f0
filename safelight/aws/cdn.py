"""Invalidates the caches of a CloudFront distribution."""

from typing import Any

from safelight.aws.dependency import Dependency

EVERYTHING = "/*"
"""What to invalidate so that every cached answer is fetched again."""


def tagged(image_id: str) -> str:
    """Return what to invalidate for all answers with the cache tag of an image."""
    return f"#img-{image_id}"


class Cdn:
    """One distribution."""

    def __init__(self, client: Any, dependency: Dependency, *, distribution_id: str) -> None:
        self._client = client
        self._dependency = dependency
        self.distribution_id = distribution_id

    async def invalidate(self, what: str, *, reference: str) -> str:
        """Start an invalidation and return its id.

        A repeat with the same reference starts no other one, and returns the same id.
        """
        async with self._dependency.call("CreateInvalidation", self.distribution_id):
            answer = await self._client.create_invalidation(
                DistributionId=self.distribution_id,
                InvalidationBatch={
                    "Paths": {"Quantity": 1, "Items": [what]},
                    "CallerReference": reference,
                },
            )
        return str(answer["Invalidation"]["Id"])

    async def has_finished(self, invalidation: str) -> bool:
        """Return whether no cache keeps an answer from before the invalidation."""
        async with self._dependency.call("GetInvalidation", self.distribution_id):
            answer = await self._client.get_invalidation(
                DistributionId=self.distribution_id, Id=invalidation
            )
        return bool(answer["Invalidation"]["Status"] == "Completed")
