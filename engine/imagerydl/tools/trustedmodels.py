"""Trusted Models: which code that comes with models may run, and how to take that back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..tool import Kind, Param, Result, Tool

if TYPE_CHECKING:
    from ..events import Reporter
    from ..jobs import Job

#: Revokes everything.
_ALL = "ALL"


def _run(job: Job, reporter: Reporter) -> dict[str, Any]:
    from ..models.trust import trust_file, trusted_models

    revoked = _revoke(job["REVOKE"].strip(), reporter) if job["REVOKE"] else 0
    known = trusted_models()
    lines = [f"{digest}  {files}" for digest, files in sorted(known.items(), key=lambda item: item[1])]
    reporter.message("\n".join([f"Trusted models: {len(known)}, kept in {trust_file()}.", *lines]))
    return {"MODELS": "\n".join(lines), "COUNT": len(known), "REVOKED": revoked}


def _revoke(name: str, reporter: Reporter) -> int:
    from ..errors import ParameterError
    from ..models.trust import digests_named, revoke, revoke_all, trusted_models

    if name.upper() == _ALL:
        count = revoke_all()
        reporter.message(f"Revoked all: {count}.")
        return count
    known = trusted_models()
    found = digests_named(name, known)
    if not found:
        raise ParameterError(
            f"REVOKE is {name!r}, and nothing of that name is trusted.",
            "Give a digest of the list or its first eight digits, the name of a file, or ALL; run the tool "
            "without REVOKE to see the list.",
        )
    for digest in found:
        revoke(digest)
        reporter.message(f"Revoked: {digest}  {known[digest]}")
    return len(found)


_PARAMS = (
    Param(
        "REVOKE",
        Kind.TEXT,
        "Revoke",
        (
            "What is no longer trusted: a digest of the list or its first eight digits, the name or path of "
            "a file, or ALL. Left out, the list is only shown."
        ),
        optional=True,
    ),
)

TOOL = Tool(
    id="trustedmodels",
    command="trusted-models",
    title="Trusted Models",
    group="Models",
    summary="Lists the models whose code you have agreed to run, and takes that back.",
    description=(
        "Code that comes with a model (a Python raster function, a pickle) runs only after you have agreed, "
        "and the choice is remembered for these very files by their contents. This tool shows what you have "
        "agreed to. What is revoked is asked about again the next time."
    ),
    params=_PARAMS,
    results=(
        Result("MODELS", "text", "Digests and files, one trusted model a line"),
        Result("COUNT", "number", "Number of trusted models"),
        Result("REVOKED", "number", "Number of models revoked"),
    ),
    run=_run,
    tags=("trust", "consent", "security", "revoke", "pickle", "raster function"),
    needs_runtime=False,
)
