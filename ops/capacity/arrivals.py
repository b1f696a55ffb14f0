"""Arrivals of pictures over time, as plain numbers. Nothing is random."""

import csv
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

DAY_SECONDS = 86_400
COLUMNS = ("seconds", "pictures")
MOST_STEPS = 20_000
"""The most steps of a simulation. Longer spans have longer steps, so a month costs no more."""
STEPS_SECONDS = (1, 2, 5, 10, 15, 30, 60)
"""Allowed steps: divisors of a minute, because policies are evaluated once a minute."""
LONGEST_SECONDS = MOST_STEPS * STEPS_SECONDS[-1]


class Shape(StrEnum):
    """The pattern in which pictures arrive."""

    CONSTANT = "constant"
    DAY = "day"
    BURST = "burst"


class InvalidArrivals(ValueError):
    """The arrivals are invalid; the message says what was expected and what was found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """The number of pictures that arrive in each step of `step_seconds`."""

    step_seconds: int
    pictures: Sequence[float]

    @property
    def seconds(self) -> float:
        """The whole span in seconds."""
        return len(self.pictures) * self.step_seconds

    @property
    def total(self) -> float:
        """The number of all pictures."""
        return sum(self.pictures)

    @property
    def per_day(self) -> float:
        """The average number of pictures per day."""
        return self.total * DAY_SECONDS / self.seconds


def constant(per_day: float, *, seconds: float = DAY_SECONDS) -> Arrivals:
    """Return arrivals at a constant rate."""
    step = _step(seconds)
    count = math.ceil(seconds / step)
    return Arrivals(step_seconds=step, pictures=[per_day / DAY_SECONDS * step] * count)


def day(per_day: float, *, swing: float = 0.8) -> Arrivals:
    """Return a day that follows a sine wave, from its mean up to the peak.

    `swing` is the distance of the busiest and the quietest second from the mean, as a share of it.
    """
    step = _step(DAY_SECONDS)
    mean = per_day / DAY_SECONDS * step
    turns = (2 * math.pi * at / DAY_SECONDS for at in range(0, DAY_SECONDS, step))
    return Arrivals(step_seconds=step, pictures=[mean * (1 + swing * math.sin(t)) for t in turns])


def burst(
    pictures: float, *, within_seconds: float = 60, per_day: float = 0, seconds: float = 3600
) -> Arrivals:
    """Return a burst that starts after ten minutes, on top of a constant rate."""
    base = constant(per_day, seconds=seconds)
    step, start = base.step_seconds, 600 // base.step_seconds
    length = max(1, round(within_seconds / step))
    if (start + length) * step > seconds:
        raise InvalidArrivals(
            f"a burst within {within_seconds:g} s does not fit: at most {seconds - 600:g} s"
        )
    shaped = list(base.pictures)
    for number in range(start, start + length):
        shaped[number] += pictures / length
    return Arrivals(step_seconds=step, pictures=shaped)


def every(interval_seconds: int, *, seconds: float = DAY_SECONDS) -> Arrivals:
    """Return one picture every `interval_seconds`."""
    step = _step(seconds)
    count = math.ceil(seconds / step)
    ticks = (number * step % interval_seconds for number in range(count))
    return Arrivals(step_seconds=step, pictures=[float(tick < step) for tick in ticks])


def from_csv(path: Path) -> Arrivals:
    """Read a CSV file with the columns `seconds` and `pictures`.

    `seconds` is the start of an interval, rising from any origin; `pictures` arrive until the next
    line. The last line only marks the end. Raises `InvalidArrivals` for anything else.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise InvalidArrivals(
                    f"{path}: no column {' and no column '.join(missing)}; "
                    f"found {', '.join(reader.fieldnames or ()) or 'nothing'}"
                )
            lines = [
                tuple(_number(path, reader.line_num, name, line[name]) for name in COLUMNS)
                for line in reader
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or error
        raise InvalidArrivals(f"{path}: cannot be read: {why}") from error
    return _spread(path, lines)


def _number(path: Path, line: int, name: str, text: str | None) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise InvalidArrivals(
            f"{path}, line {line}: {name} must be a number of 0 or more; found {text!r}"
        )
    return value


def _spread(path: Path, lines: Sequence[tuple[float, ...]]) -> Arrivals:
    """Spread each line's pictures evenly until the next line's time."""
    if len(lines) < 2:
        raise InvalidArrivals(f"{path}: needs at least two lines: the last one marks the end")
    start, end = lines[0][0], lines[-1][0]
    if end - start > LONGEST_SECONDS:
        raise InvalidArrivals(f"{path}: is longer than {LONGEST_SECONDS // DAY_SECONDS} days")
    step = _step(end - start)
    pictures = [0.0] * max(1, math.ceil((end - start) / step))
    for number, ((since, count), (until, _)) in enumerate(itertools.pairwise(lines), start=3):
        if until <= since:
            raise InvalidArrivals(f"{path}, line {number}: seconds must rise; found {until:g}")
        first, last = (since - start) / step, (until - start) / step
        for index in range(int(first), math.ceil(last)):
            share = min(last, index + 1) - max(first, index)
            pictures[index] += count * share / (last - first)
    if not sum(pictures):
        raise InvalidArrivals(f"{path}: no picture arrives")
    return Arrivals(step_seconds=step, pictures=pictures)


def _step(seconds: float) -> int:
    return next((one for one in STEPS_SECONDS if seconds / one <= MOST_STEPS), STEPS_SECONDS[-1])
