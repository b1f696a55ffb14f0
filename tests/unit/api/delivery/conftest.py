from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from safelight.presets import Preset
from tests.unit.api.delivery.gallery import Gallery, open_gallery

PRESETS = (
    Preset(name="plain", format="jpeg", box=(30, 30), access="public"),
    Preset(
        name="small", format="jpeg", box=(30, 30), access="public", formats=("avif", "webp", "png")
    ),
    Preset(name="modern", format="webp", box=(30, 30), access="public", formats=("jpeg",)),
    Preset(name="best", format="auto", box=(30, 30), access="public"),
    Preset(name="hinted", format="jpeg", box=(20, 20), access="public", hints=True),
    Preset(name="signed", format="jpeg", box=(30, 30)),
    Preset(name="secret", format="jpeg", box=(30, 30), access="private"),
    Preset(
        name="avatar", format="jpeg", box=(30, 30), access="public", default="nobody.png",
        pending="default",
    ),
)  # fmt: skip


@pytest.fixture
async def open_(tmp_path: Path) -> AsyncIterator[Any]:
    async with AsyncExitStack() as stack:

        async def open_(*presets: Preset, **options: Any) -> Gallery:
            wanted = presets or PRESETS
            return await stack.enter_async_context(open_gallery(tmp_path, *wanted, **options))

        yield open_


@pytest.fixture
async def gallery(open_: Any) -> Gallery:
    opened: Gallery = await open_()
    return opened
