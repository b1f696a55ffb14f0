"""Safelight's own messages: each role reads its own, and refuses those of another role."""

import pytest

from safelight.errors import Unreadable, WrongQueue
from safelight.queued import (
    DeleteAssets,
    DeleteVersion,
    EraseImage,
    EraseUser,
    Ingest,
    read_cleanup,
    read_queued,
)
from worker.envelopes import parsed

IMAGE = "01JZ6V8M7Q2N4R5T6W8X9Y0ZAB"
OF_CLEANUP = (
    EraseImage(image_id=IMAGE, key="uploads/a/b", by="owner", at=1),
    EraseImage(image_id=IMAGE, by="operator", at=1, caches="flush"),
    EraseUser(erasure_id=IMAGE, user_id="key:alice", before=1, by="user"),
    DeleteVersion(image_id=IMAGE, key="uploads/a/b", version_id="v1"),
    DeleteAssets(image_id=IMAGE, at=1),
)


@pytest.mark.parametrize("message", OF_CLEANUP)
def test_a_message_of_cleanup_is_read_as_it_was_sent(message):
    assert read_cleanup(parsed(message.to_json())) == message


@pytest.mark.parametrize("message", OF_CLEANUP)
def test_a_message_of_cleanup_on_another_queue_is_refused_as_such(message):
    with pytest.raises(WrongQueue, match=message.type):
        read_queued(parsed(message.to_json()))


def test_cleanup_refuses_a_message_of_renders_as_such():
    with pytest.raises(WrongQueue, match=r"safelight\.ingest"):
        read_cleanup(parsed(Ingest(key="uploads/a/b").to_json()))


@pytest.mark.parametrize(
    "document",
    [
        {"type": "safelight.unknown"},
        {"type": "safelight.erase-image", "imageId": "../etc", "by": "owner", "at": 1},
        {"type": "safelight.erase-image", "imageId": IMAGE, "by": "anyone", "at": 1},
        {"type": "safelight.erase-user", "erasureId": IMAGE, "userId": "x", "before": 1,
         "by": "user"},
        {"type": "safelight.delete-assets", "imageId": IMAGE, "at": 1, "keys": ["x"] * 101},
        {},
        [],
    ],
)  # fmt: skip
def test_anything_else_is_unreadable_whichever_role_reads_it(document):
    for read in (read_cleanup, read_queued):
        with pytest.raises(Unreadable) as raised:
            read(document)
        assert not isinstance(raised.value, WrongQueue) or read is read_queued
