"""URLs of an image's variants that stay the same from answer to answer, so that browsers cache."""

import time
from collections.abc import Callable, Mapping, Sequence

from api.delivery.signing import SigningKeys
from safelight.presets import Preset

_A_DAY = 24 * 3600


class Thumbnails:
    """Builds a URL of delivery for each preset. It calls nothing."""

    def __init__(
        self,
        *,
        presets: Sequence[Preset],
        signing: SigningKeys,
        delivery_url: str | None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Without a `delivery_url` there are no URLs; without a key, only public presets have."""
        self._presets = tuple(presets)
        self._signing = signing
        self._delivery_url = delivery_url
        self._now = now

    def of(self, image_id: str, *, user_id: str) -> Mapping[str, str]:
        """Return the URL of each preset of an image that is the user's.

        URLs of `private` presets end with the next day (UTC), and stay the same for a day. Those of
        `signed` presets do not end.
        """
        if self._delivery_url is None:
            return {}
        key_id = self._signing.key_for(user_id)
        next_day = (int(self._now()) // _A_DAY + 2) * _A_DAY
        urls = {}
        for preset in self._presets:
            path, access = f"/{preset.name}/{image_id}", preset.policy.access
            if access == "public":
                urls[preset.name] = self._delivery_url + path
            elif key_id is not None:
                expires_at = next_day if access == "private" else None
                signed = self._signing.sign(path, key_id=key_id, expires_at=expires_at)
                urls[preset.name] = self._delivery_url + signed
        return urls
