"""The options of `safelight capacity`, validated before anything is simulated."""

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ops.capacity.arrivals import Arrivals, Shape, burst, constant, day, from_csv
from ops.capacity.scaling import LATE_DATAPOINTS, PERIOD_SECONDS
from ops.capacity.simulator import Task
from safelight.refused_values import why_refused

Finite = Field(allow_inf_nan=False)
Positive = Annotated[float, Finite, Field(gt=0)]
NotNegative = Annotated[float, Finite, Field(ge=0)]
LATEST_SECONDS = LATE_DATAPOINTS * PERIOD_SECONDS
"""The largest metric delay in seconds: alarms would never see later points."""


class InvalidScenario(ValueError):
    """Options are invalid; the message has one line for each."""


class Scenario(BaseModel):
    """The load, the task and the template parameters to simulate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    per_day: Positive
    shape: Shape
    burst: Positive
    burst_seconds: Positive
    arrivals: Path | None
    seconds_per_picture: Positive
    slots: int = Field(ge=1, le=256)
    start_up_seconds: NotNegative
    metric_delay_seconds: Annotated[NotNegative, Field(le=LATEST_SECONDS)]
    parameter: tuple[str, ...]

    @field_validator("parameter")
    @classmethod
    def _named(cls, parameters: tuple[str, ...]) -> tuple[str, ...]:
        for one in parameters:
            name, equals, value = one.partition("=")
            if not (name and equals and value):
                raise ValueError(f"must be NAME=VALUE, not {one!r}")
        return parameters

    @classmethod
    def of(cls, **options: Any) -> Self:
        """Validate the options. Raises `InvalidScenario` with every fault."""
        try:
            return cls(**options)
        except ValidationError as error:
            raise InvalidScenario("\n".join(_fault(fault) for fault in error.errors())) from error

    def to_arrivals(self) -> Arrivals:
        """Return the arrivals. Raises `InvalidArrivals`."""
        if self.arrivals is not None:
            return from_csv(self.arrivals)
        match self.shape:
            case Shape.CONSTANT:
                return constant(self.per_day)
            case Shape.DAY:
                return day(self.per_day)
            case Shape.BURST:
                return burst(self.burst, within_seconds=self.burst_seconds, per_day=self.per_day)

    def to_task(self) -> Task:
        """Return the task."""
        return Task(
            seconds_per_picture=self.seconds_per_picture,
            slots=self.slots,
            start_up_seconds=self.start_up_seconds,
            metric_delay_seconds=self.metric_delay_seconds,
        )

    def to_parameters(self) -> dict[str, str]:
        """Return the template's parameters; of duplicates the last one wins."""
        return {name: value for name, _, value in (one.partition("=") for one in self.parameter)}


def _fault(fault: Any) -> str:
    option = "--" + str(fault["loc"][0]).replace("_", "-")
    return f"{option}: {why_refused(fault)}; found {fault['input']!r}"
