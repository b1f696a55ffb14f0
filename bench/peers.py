"""Renders one picture with one of the programs that `bench.render` compares, in its own process.

    python -m bench.peers NAME SOURCE DIRECTORY

The job is the same for each: the full size as WebP of quality 80, and JPEGs of quality 85 that fit
600, 300 and 150 pixels, as full.webp, box600.jpg, box300.jpg and box150.jpg. A small picture is
rendered first, so that loading code is not counted. Prints CPU (user and system) and wall seconds,
and the process's peak of resident memory, as JSON. Imports only the named peer.
"""

import io
import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType

WARM_UP = Path(__file__).parents[1] / "samples" / "cat-451px.jpg"
SIZES = (600, 300, 150)
FULL_QUALITY = 80
THUMBNAIL_QUALITY = 85
EFFORT = 2

Peer = Callable[[Path, Path], object]


def lambdas() -> Peer:
    """Do what the two published Lambdas do: two decodes by Pillow, WebP of method 4, Lanczos."""
    from PIL import Image

    def render(source: Path, directory: Path) -> None:
        data = source.read_bytes()
        with Image.open(io.BytesIO(data)) as opened:
            opened.convert("RGB").save(directory / "full.webp", "WEBP", quality=FULL_QUALITY)
        with Image.open(io.BytesIO(data)) as opened:
            decoded = opened.convert("RGB")
        for size in SIZES:
            thumbnail = decoded.copy()
            thumbnail.thumbnail((size, size), Image.Resampling.LANCZOS)
            thumbnail.save(
                directory / f"box{size}.jpg", "JPEG", quality=THUMBNAIL_QUALITY, optimize=True
            )

    return render


def pyvips_naive() -> Peer:
    """Decode again for each variant, with every encoder's defaults."""
    import pyvips

    def render(source: Path, directory: Path) -> None:
        image = pyvips.Image.new_from_file(str(source))
        image.webpsave(str(directory / "full.webp"), Q=FULL_QUALITY)
        for size in SIZES:
            image = pyvips.Image.new_from_file(str(source))
            scaled = image.thumbnail_image(size, height=size, size="down")
            scaled.jpegsave(str(directory / f"box{size}.jpg"), Q=THUMBNAIL_QUALITY)

    return render


def thumbor() -> Peer:
    """Serve four requests with thumbor's own engine, which decodes for each."""
    from thumbor.config import Config
    from thumbor.context import Context
    from thumbor.engines.pil import Engine

    context = Context(config=Config(QUALITY=THUMBNAIL_QUALITY, WEBP_QUALITY=FULL_QUALITY))

    def render(source: Path, directory: Path) -> None:
        data = source.read_bytes()
        for size in (None, *SIZES):
            engine = Engine(context)
            engine.load(data, ".jpg")
            if size is None:
                (directory / "full.webp").write_bytes(engine.read(".webp", FULL_QUALITY))
                continue
            scale = min(1, size / max(engine.size))
            engine.resize(*(max(1, round(side * scale)) for side in engine.size))
            (directory / f"box{size}.jpg").write_bytes(engine.read(".jpg", THUMBNAIL_QUALITY))

    return render


def safelight() -> Peer:
    """Do what a render child does with the source of one message, under its limits."""
    from safelight.imaging.child import initialise, render_measured
    from safelight.imaging.limits import Limits
    from safelight.imaging.plan import plan
    from safelight.imaging.probe import probe
    from safelight.presets import Preset
    from safelight.wish.wish import Wish

    limits = Limits()
    initialise(limits)
    presets = [Preset(name="full", wish=Wish(format="webp", quality=FULL_QUALITY, effort=EFFORT))]
    presets += [
        Preset(
            name=f"box{size}", wish=Wish(format="jpeg", quality=THUMBNAIL_QUALITY, box=(size, size))
        )
        for size in SIZES
    ]

    def render(source: Path, directory: Path) -> None:
        planned = plan(probe(source, limits), presets)
        rendering = render_measured(planned, source, directory, limits)
        if rendering.failures:
            raise SystemExit(f"failed: {dict(rendering.failures)}")

    return render


def safelight_webpsave() -> Peer:
    """Do the same as on a machine without libwebp."""
    from safelight.imaging import libwebp

    def takes(_: libwebp.Libwebp, __: object) -> bool:
        return False

    setattr(libwebp.Libwebp, "takes", takes)  # noqa: B010 - replaced on purpose
    return safelight()


def floor() -> Peer:
    """Only decode and encode the full size, the least that a caller of these libraries needs."""
    import pyvips

    from safelight.imaging import libwebp

    encoder = libwebp.encoder()
    if encoder is None:
        raise SystemExit("no libwebp was found")

    def render(source: Path, directory: Path) -> None:
        image = pyvips.Image.jpegload(str(source), access="sequential")
        encoded = encoder.encode(image, quality=FULL_QUALITY, effort=EFFORT)
        (directory / "full.webp").write_bytes(encoded)

    return render


PEERS = MappingProxyType(
    {
        "lambdas": lambdas,
        "pyvips-naive": pyvips_naive,
        "thumbor": thumbor,
        "safelight": safelight,
        "safelight-webpsave": safelight_webpsave,
        "floor": floor,
    }
)


def _reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _peak_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def main() -> int:
    """Render once and print the measurements."""
    name, directory = sys.argv[1], Path(sys.argv[3])
    # Safelight confines itself to the folder of temporary files, and cannot make folders there.
    source, first = (Path(shutil.copy(path, directory)) for path in (sys.argv[2], WARM_UP))
    elsewhere = directory / "warm-up"
    elsewhere.mkdir(exist_ok=True)
    render = PEERS[name]()
    render(first, elsewhere)
    _reset_peak()
    wall, cpu = time.perf_counter(), time.process_time()
    render(source, directory)
    took = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
    print(json.dumps(took | {"peak": _peak_bytes()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
