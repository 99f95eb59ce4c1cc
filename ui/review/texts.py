"""What the dock says of an object and of the verdicts so far."""

from __future__ import annotations

import html

from ...engine.imagerydl.assessment.review import APPROVED, PENDING, REJECTED, Finding, Summary
from ...processing_provider.translation import tr

_COLORS = {APPROVED: "#1e8449", REJECTED: "#c0392b", PENDING: "#707070"}


def object_text(finding: Finding, issue: str, place: int, count: int) -> str:
    """An object in two lines of rich text.

    Args:
        finding: The object.
        issue: Why it was rejected, where that was said.
        place: Its place in the queue, from 1.
        count: Objects in the queue.
    """
    told = [
        f"<b>{html.escape(finding.present_label or tr('object'))}</b>",
        tr("{place} of {count}").format(place=place, count=count),
    ]
    if finding.confidence is not None:
        told.append(tr("confidence {value}").format(value=f"{finding.confidence:.4g}"))
    verdict = [f'<span style="color: {_COLORS[finding.status]}"><b>{tr(finding.status)}</b></span>']
    if issue:
        verdict.append(html.escape(issue))
    if finding.true_label:
        verdict.append(tr("was {former}").format(former=html.escape(finding.label)))
    return " · ".join(told) + "<br/>" + " · ".join(verdict)


def summary_text(summary: Summary) -> str:
    """What the verdicts amount to, in words."""
    told = tr("Reviewed {reviewed} of {total}: {approved} approved, {rejected} rejected.").format(
        reviewed=summary.reviewed,
        total=summary.total,
        approved=summary.approved,
        rejected=summary.rejected,
    )
    if summary.corrected:
        told += " " + tr("{count} of those approved were corrected.").format(count=summary.corrected)
    precision = summary.precision
    if precision is None:
        return told + "\n" + tr("Review at random to estimate the precision.")
    if precision.is_exact:
        return told + "\n" + tr("Precision: {share:.1f} % of all.").format(share=100 * precision.share)
    return (
        told
        + "\n"
        + tr("Precision: {share:.0f} % ({low:.0f} to {high:.0f} %), from {count} drawn at random.").format(
            share=100 * precision.share,
            low=100 * precision.low,
            high=100 * precision.high,
            count=precision.count,
        )
    )
