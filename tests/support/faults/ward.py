"""Images that are erased, and what may happen to them at any call about them."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass

from safelight.presets import Preset
from safelight.queued import Demand
from safelight.wish.wish import Wish
from tests.support import pictures
from tests.support.faults.cleaning import Cleaning
from tests.support.faults.injector import Source
from tests.support.faults.moments import Moments
from tests.support.faults.proxy import Call, Fault, before, instead
from tests.support.person import Person

CAT = (pictures.SAMPLES / "cat-451px.jpg").read_bytes()


def demand_of(source: Source) -> str:
    """Return the message by which delivery demands a variant that no upload gets."""
    preset = Preset(name="small", wish=Wish(format="webp"))
    return Demand(image_id=source.image_id, revision=source.revision, preset=preset).to_json()


@dataclass
class Ward:
    """Images of alice that are erased while something happens at one of their calls."""

    cleaning: Cleaning
    alice: Person
    moments: Moments

    @classmethod
    async def open(
        cls,
        cleaning: Cleaning,
        *,
        made_by: Collection[str],
        without: Collection[str] = (),
        uploads: int = 1,
        cleanups: int = 2,
        last_look_seconds: str = "3",
    ) -> "Ward":
        """Start the programs. The numbered calls are those of roles: of workers, or delivery."""
        rig = cleaning.rig

        def counts(caller: str) -> bool:
            roles = {worker.name: worker.role for worker in rig.workers}
            return bool(caller) and roles.get(caller, "delivery") in made_by

        moments = Moments(rig.proxy, made_by=counts, without=without)
        roles = ["uploads"] * uploads + ["renders"]
        look = {"ERASE_LAST_LOOK_SECONDS": last_look_seconds}
        await asyncio.gather(
            *(cleaning.start(role) for role in roles),
            *(cleaning.start("cleanup", **look) for _ in range(cleanups)),
        )
        return cls(cleaning, await rig.alice(), moments)

    async def completed(self) -> Source:
        """Return an image that is completed."""
        source = await self.cleaning.picture(self.alice, CAT, tags=["sea", "sand"])
        await self.cleaning.rig.injector.notify(source)
        await self.alice.settled(source.image_id)
        return source

    async def until(self, source: Source, state: str, *, late: int = 0) -> None:
        """Wait until an erasure is in a state, after so many late objects."""
        await self.cleaning.until_state(self.alice, source.image_id, state, late=late)

    def killed(self, _: Source, **__: int) -> Fault:
        """Kill the worker instead of its call, and start another."""

        async def kill(call: Call) -> None:
            for worker in [one for one in self.cleaning.running if one.name == call.caller]:
                await self.cleaning.replace(worker)

        return instead(kill)

    def frozen(self, source: Source, *, late: int) -> Fault:
        """Freeze the worker before its call until another has completed the erasure."""

        async def freeze(call: Call) -> None:
            (worker,) = (one for one in self.cleaning.running if one.name == call.caller)
            worker.freeze()
            await self.until(source, "complete", late=late)
            worker.thaw()

        return before(freeze)

    def erased(self, source: Source, *, state: str) -> Fault:
        """Erase the image before the call, which goes on once the erasure is in this state."""

        async def erase(_: Call) -> None:
            if state == "requested":
                await self.alice.erase(source.image_id)  # its message is delayed
            else:
                await self.cleaning.erase(source)
                await self.until(source, state)

        return before(erase)
