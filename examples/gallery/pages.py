"""Writes the HTML of the gallery. Each text of a user is escaped."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from examples.gallery.rejections import explain
from examples.gallery.signing import signed

WIDTHS = ("small", "medium", "large")
"""The public presets, which differ in their width."""
TYPES = {"avif": "image/avif", "webp": "image/webp"}
"""The formats that browsers may get instead of JPEG, the smallest files first."""
SIZES = "(max-width: 40rem) 100vw, 20rem"
"""The width of a picture on the page, as in style.css."""
LINK_SECONDS = 600
"""A private URL is valid for one to two times this long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """Writes the pictures that delivery serves at `base`; signs private ones with the key."""

    base: str
    key_id: str
    secret: str

    def figure(self, data: Mapping[str, Any]) -> str:
        """Show a settled image: the `data` of its newest completion."""
        name = escape(data.get("filename") or "A picture")
        if data["status"] == "rejected":
            why, what_to_do = map(escape, explain(data.get("reason")))
            return f'<figure class="rejected"><p>{name}: {why}</p><p>{what_to_do}</p></figure>'
        return (
            f"<figure>{self._picture(data, name)}"
            f'<figcaption>{name} <a href="{escape(self._private(data))}">Original size</a>'
            "</figcaption></figure>"
        )

    def _picture(self, data: Mapping[str, Any], name: str) -> str:
        widest = self._widths(data)[-1][1]
        sources = "".join(
            f'<source type="{media_type}" srcset="{self._srcset(data, extension)}" sizes="{SIZES}">'
            for extension, media_type in TYPES.items()
        )
        return (
            f'<picture>{sources}<img src="{self._url(widest, data, "jpg")}"'
            f' srcset="{self._srcset(data, "jpg")}" sizes="{SIZES}"'
            f' width="{data["width"]}" height="{data["height"]}" alt="{name}" loading="lazy"'
            f' style="background-color: {data.get("dominantColour", "transparent")}"'
            f' data-placeholder="{data["placeholder"]}"></picture>'
        )

    def _widths(self, data: Mapping[str, Any]) -> Sequence[tuple[int, str]]:
        """List the widths of the variants with their presets, each width once.

        A picture is never enlarged, so a small source has the same width in several presets.
        """
        variants = data["variants"]
        presets = {variants[preset]["width"]: preset for preset in WIDTHS if preset in variants}
        return sorted(presets.items())

    def _srcset(self, data: Mapping[str, Any], extension: str) -> str:
        return ", ".join(
            f"{self._url(preset, data, extension)} {width}w" for width, preset in self._widths(data)
        )

    def _url(self, preset: str, data: Mapping[str, Any], extension: str) -> str:
        return f"{self.base}/{preset}/{data['imageId']}.{extension}"

    def _private(self, data: Mapping[str, Any]) -> str:
        """Return a URL that ends, and is the same for some minutes, so that browsers may cache."""
        expires = (2 + int(time.time()) // LINK_SECONDS) * LINK_SECONDS
        path = f"/full/{data['imageId']}.jpg"
        return self.base + signed(path, key_id=self.key_id, secret=self.secret, expires=expires)


def page(body: str) -> str:
    """Return a whole document."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Gallery</title>'
        '<meta name="viewport" content="width=device-width">'
        '<link rel="stylesheet" href="/static/style.css"></head>'
        f"<body>{body}</body></html>"
    )


def login(fault: str = "") -> str:
    """Ask for a name."""
    return page(
        f"<h1>Gallery</h1><p>{escape(fault)}</p>"
        '<form method="post" action="/login"><label>Your name <input name="name" required></label>'
        "<button>Log in</button></form>"
    )


def gallery(user: str, figures: Sequence[str]) -> str:
    """Show a user's pictures, and a button that uploads more."""
    return page(
        f"<h1>Pictures of {escape(user)}</h1>"
        '<label>Upload pictures <input type="file" id="files" accept="image/*" multiple></label>'
        f'<div id="uploads" aria-live="polite"></div><div id="figures">{"".join(figures)}</div>'
        '<script type="module" src="/static/page.mjs"></script>'
    )
