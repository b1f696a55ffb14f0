"""Findings of the doctor, and how they are printed."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from rich.markup import escape

from ops.exit_codes import ExitCode
from ops.tables import make_table, print_table

State = Literal["ok", "failed", "unknown"]
_SHOWN = {"ok": "[green]ok[/green]", "failed": "[bold red]failed[/bold red]", "unknown": "unknown"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of one check."""

    area: str
    what: str
    state: State = "ok"
    detail: str = ""
    """What was found; for a failure also what to do."""


def report(findings: Sequence[Finding], *, as_json: bool) -> int:
    """Print the findings; return the exit code, 1 if any failed."""
    failed = any(finding.state == "failed" for finding in findings)
    code = ExitCode.FAILED if failed else ExitCode.DONE
    if as_json:
        document = {"well": not failed, "findings": [asdict(finding) for finding in findings]}
        print(json.dumps(document, indent=2))
        return code
    table = make_table("area", "check", "", "result")
    for finding in findings:
        table.add_row(
            finding.area, escape(finding.what), _SHOWN[finding.state], escape(finding.detail)
        )
    print_table(table)
    return code
