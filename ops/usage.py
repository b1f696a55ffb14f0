"""Says in our words which argument of a command is at fault."""

from typing import Any

import typer
from typer.core import TyperGroup


class Commands(TyperGroup):
    """The commands. Typer validates their arguments by pydantic, whose words no person reads."""

    def invoke(self, ctx: Any) -> Any:  # typer does not export its type
        """Run a command; raise `typer.BadParameter` in the words of `refused_values`."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            from pydantic import ValidationError  # noqa: PLC0415 - --help must be instant

            from safelight.refused_values import why_refused  # noqa: PLC0415 - as above

            if isinstance(error.__cause__, ValidationError):
                faults = error.__cause__.errors()
                error.message = "; ".join(
                    f"{why_refused(fault).rstrip('.')} (found {fault['input']!r})"
                    for fault in faults
                )
            raise
