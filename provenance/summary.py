"""The credentials of a file in one line of plain words: for listings, logs and tables."""

from __future__ import annotations

from typing import Final

from provenance.codes import Failure
from provenance.credentials import C2paReport, C2paState

_SHOWN: Final = 2
"""Reasons named in a line; the report has them all."""


def one_line(report: C2paReport) -> str:
    """What `report` says, and how far it can be relied upon. Never empty; one line; clean text."""
    if report.state is C2paState.UNSUPPORTED:
        return f"Cannot carry readable credentials: {report.note or 'this kind of file is not supported'}."
    if report.state is C2paState.ABSENT:
        return _absent(report)
    if report.state is C2paState.INVALID:
        return f"Credentials do not hold: {_reasons(report)}.{_inputs(report)}"
    who = "a signer in no trust list"
    if report.own_authority:
        who = "the development authority of this installation"
    if report.signer is not None:
        who = report.signer.organisation or report.signer.common_name
    return f"Intact since {who} signed it{_says(report)}.{_inputs(report)}"


def _absent(report: C2paReport) -> str:
    if report.remote_url:
        return f"Credentials are stored elsewhere ({report.remote_url}) and were not fetched."
    return "Carries no credentials: none were written, or they were removed."


def _reasons(report: C2paReport) -> str:
    """What breaks them first; that the signer is unknown is no reason by itself."""
    broken = _broken(report.failures) or report.failures
    meanings = list(dict.fromkeys(failure.meaning for failure in broken))
    if not meanings:
        return report.note or "they cannot be read"
    more = len(meanings) - _SHOWN
    return "; ".join(meanings[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")


def _broken(failures: tuple[Failure, ...]) -> tuple[Failure, ...]:
    return tuple(failure for failure in failures if failure.code != "signingCredential.untrusted")


def _says(report: C2paReport) -> str:
    if report.ai_source_type:
        return f", and it states that AI took part ({report.ai_source_type})"
    return f"; it names {report.generator} as its tool" if report.generator else ""


def _inputs(report: C2paReport) -> str:
    failed = sum(bool(_broken(ingredient.failures)) for ingredient in report.ingredients)
    return (
        f" The credentials of {failed} of its {len(report.ingredients)} inputs do not hold." if failed else ""
    )
