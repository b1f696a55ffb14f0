"""Looks for bytes that make probing or rendering do anything but succeed or reject: `make fuzz`.

    python -m tests.fuzz.fuzz [libFuzzer's options]

Coverage of Python guides it (atheris): recognition, the walks over files' structure, the plan. The
decoders are reached on the way, in this one process and with a child's loaders; a crash of one
ends the run. What was found is saved in build/fuzz/findings/, the corpus in build/fuzz/corpus/.
"""

import contextlib
import re
import sys
import tempfile
from pathlib import Path

import atheris

ROOT = Path(__file__).parents[2]
_UNWATCHED = {"__init__", "appearance", "libwebp", "operations", "perceptual"}
"""Modules that are only arithmetic on pixels: watched, they would take most of the time."""
_WATCHED = [
    "safelight.formats",
    *(
        f"safelight.imaging.{path.stem}"
        for path in sorted((ROOT / "safelight" / "imaging").glob("*.py"))
        if path.stem not in _UNWATCHED
    ),
]

with atheris.instrument_imports(include=_WATCHED):
    from safelight.errors import Rejection
    from safelight.imaging.decoders import accept_svg
    from safelight.imaging.libvips import restrict
    from safelight.imaging.limits import MIB, Limits
    from safelight.imaging.plan import plan
    from safelight.imaging.probe import probe
    from safelight.imaging.render import render
    from tests.fuzz.mutate import PRESETS
    from tests.fuzz.seeds import seeds

OUT = ROOT / "build" / "fuzz"
LIMITS = Limits(max_pixels=4_000_000, max_total_pixels=4_000_000, accept_svg=True)
"""Small, so that time goes into finding and not into large pictures."""


def main() -> None:
    findings, corpus = OUT / "findings", OUT / "corpus"
    for folder in (findings, corpus):
        folder.mkdir(parents=True, exist_ok=True)
    for name, data in seeds().items():
        (corpus / re.sub(r"\W+", "-", name)).write_bytes(data)
    restrict()
    accept_svg()
    with tempfile.TemporaryDirectory(prefix="safelight-fuzz-") as place:
        directory = Path(place)

        def try_one(data: bytes) -> None:
            source = directory / "source"
            source.write_bytes(data)
            with contextlib.suppress(Rejection):
                made = plan(probe(source, LIMITS), PRESETS)
                if (
                    made.frames_used > LIMITS.max_frames
                    or made.pixels_used > LIMITS.max_total_pixels
                ):
                    return  # the pool refuses it
                render(made, source, directory, LIMITS)

        options = [
            f"-artifact_prefix={findings}/",
            f"-timeout={int(LIMITS.max_seconds) + 1}",
            "-max_len=65536",
            f"-rss_limit_mb={LIMITS.child_memory_bytes // MIB}",
            *sys.argv[1:],
            str(corpus),
        ]
        atheris.Setup([sys.argv[0], *options], try_one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
