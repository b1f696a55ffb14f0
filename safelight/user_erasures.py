"""The erasure of all images of a user: its counts, as a document in the uploads bucket."""

from typing import Literal

from safelight.stored import StoredModel


class UserErasure(StoredModel):
    """The counts of an erasure. Its id is the right to read them, so they name no user."""

    erasure_id: str
    state: Literal["running", "complete"] = "running"
    images: int
    """Images of the user, those that were erased before included."""
    complete: int
    """Images whose erasure is complete."""
    bytes: int
    """Bytes of sources and assets that were found."""
    completed_at: int | None = None
    """In milliseconds since 1970."""

    def to_json(self) -> str:
        """Return the document."""
        return self.model_dump_json(by_alias=True, exclude_none=True)


def counts_key(erasure_id: str) -> str:
    """Return the key of the counts of an erasure."""
    return f"erasures/users/{erasure_id}.json"
