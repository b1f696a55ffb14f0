"""Outcomes of `safelight render`, and how they are printed: lines for people, JSON for programs."""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ops.client import printable_name
from ops.exit_codes import INCOMPLETE, ExitCode, code_of
from ops.report import dimensions, one_line, size
from safelight.formats import BY_NAME
from safelight.imaging.plan import Plan
from safelight.imaging.probe import Probe
from safelight.imaging.render import RenderedVariant, Rendering


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The outcome for one file. Fields that no step reached are None."""

    file: Path
    """The path as the operator gave it."""
    folder: Path
    """The folder of its variants, if it was completed."""
    status: str
    """As in records; `failed` if the file could not be read or its variants not be saved."""
    reason: str | None = None
    detail: str | None = None
    plan: Plan | None = None
    rendering: Rendering | None = None
    seconds: float
    """Time from start to end, including the time spent waiting for a child."""

    @property
    def probe(self) -> Probe | None:
        """Return what the picture's header says."""
        return self.plan.probe if self.plan else None

    @property
    def variants(self) -> Sequence[RenderedVariant]:
        """Return the variants that were rendered."""
        return self.rendering.variants if self.rendering else ()

    @property
    def failures(self) -> Mapping[str, str]:
        """Return why variants failed, by preset, while others were rendered."""
        return self.rendering.failures if self.rendering else {}

    def saved(self, variant: RenderedVariant) -> Path:
        """Return the path of one of its variants."""
        return self.folder / variant.path.name


def json_of(outcome: Outcome) -> dict[str, object]:
    """Return an outcome for `--json`: sizes in bytes and pixels, variants as absolute paths."""
    probe, rendering = outcome.probe, outcome.rendering
    return {
        "file": str(outcome.file),
        "status": outcome.status,
        "reason": outcome.reason,
        "mediaType": BY_NAME[probe.format].media_type if probe else None,
        "width": probe.width if probe else None,
        "height": probe.height if probe else None,
        "frames": probe.frames if probe else None,
        "variants": {
            variant.preset: {
                "file": str(outcome.saved(variant).absolute()),
                "mediaType": variant.media_type,
                "width": variant.width,
                "height": variant.height,
                "size": variant.size_bytes,
                "sha256": variant.sha256,
            }
            for variant in outcome.variants
        },
        "predictedBytes": outcome.plan.predicted_bytes if outcome.plan else None,
        "peakBytes": rendering.peak_bytes if rendering else None,
        "seconds": round(outcome.seconds, 3),
    }


def print_outcome(outcome: Outcome, *, faults_only: bool) -> None:
    """Print the outcome of one file; with `faults_only`, only its faults, to standard error."""
    name = one_line(printable_name(outcome.file))
    faults = [f"{name}: {preset}: {why}" for preset, why in outcome.failures.items()]
    if outcome.status != "completed":
        why = ": ".join(part for part in (outcome.reason, outcome.detail) if part)
        faults.append(f"{name}: {outcome.status} {one_line(why)}")
    elif not faults_only and outcome.probe:
        shape = dimensions(outcome.probe.width, outcome.probe.height)
        print(f"{name}: completed {shape} in {outcome.seconds:.2f} s")
        for variant in outcome.variants:
            shape = dimensions(variant.width, variant.height)
            where = one_line(str(outcome.saved(variant)))
            print(f"  {variant.preset}  {shape}  {size(variant.size_bytes)}  {where}")
    for fault in faults:
        print(fault, file=sys.stderr if faults_only else sys.stdout)


def print_counts(outcomes: Sequence[Outcome]) -> None:
    """Print how many files were completed, rejected and failed."""
    counts = Counter(outcome.status for outcome in outcomes)
    print(", ".join(f"{count} {status}" for status, count in sorted(counts.items())))


def exit_code(outcomes: Sequence[Outcome]) -> ExitCode:
    """Return the exit code; `DONE` if every variant of every file was rendered."""
    return code_of(INCOMPLETE if one.failures else one.status for one in outcomes)
