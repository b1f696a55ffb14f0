"""Each fake is called as the edge that it replaces: same methods, arguments, defaults and types."""

import inspect

import pytest

from safelight.aws.cdn import Cdn
from safelight.aws.deletions import Deletions
from safelight.aws.documents import Documents
from safelight.aws.indexing import Indexing
from safelight.aws.inventory import Inventory
from safelight.aws.objects import Objects
from safelight.aws.presign import Presigner
from safelight.aws.queue import Queue
from safelight.aws.records import Records
from safelight.aws.tombstones import Tombstones
from safelight.aws.topic import Topic
from tests.support.fakes import (
    FakeCdn,
    FakeDeadLetters,
    FakeDeletions,
    FakeDocuments,
    FakeIndexing,
    FakeInventory,
    FakeObjects,
    FakePresigner,
    FakeQueue,
    FakeRecords,
    FakeTombstones,
    FakeTopic,
)

EDGES = {
    FakeCdn: Cdn,
    FakeDeadLetters: Queue,
    FakeDeletions: Deletions,
    FakeDocuments: Documents,
    FakeIndexing: Indexing,
    FakeInventory: Inventory,
    FakeObjects: Objects,
    FakePresigner: Presigner,
    FakeQueue: Queue,
    FakeRecords: Records,
    FakeTombstones: Tombstones,
    FakeTopic: Topic,
}
FOR_TESTS = {(FakeObjects, "upload"), (FakeQueue, "send"), (FakeQueue, "wake")}
"""Methods by which tests act as clients and clocks."""


@pytest.mark.parametrize(
    ("fake", "name"),
    [
        pytest.param(fake, name, id=f"{fake.__name__}.{name}")
        for fake in EDGES
        for name, method in vars(fake).items()
        if inspect.isfunction(method)
        if not name.startswith("_") and (fake, name) not in FOR_TESTS
    ],
)
def test_a_fake_is_called_as_its_edge_is(fake: type, name: str) -> None:
    edge = getattr(EDGES[fake], name)
    assert inspect.signature(getattr(fake, name)) == inspect.signature(edge)
