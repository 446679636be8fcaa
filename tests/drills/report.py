"""What drills showed, as a table."""

from collections.abc import Sequence

from tests.drills import drills
from tests.drills import ground as grounds

_PATH = grounds.ROOT / "docs" / "operations" / "drills.md"
_HEAD = """# Fault drills

`make drill` starts PostgreSQL, Redis, a chain with blocks of one second, a signer, the bundlers' door and relays,
breaks one thing at a time under a steady load, and counts. Half of the operations come in by the door, half from our
own apps. An operation is *lost* that was accepted and did not end as it should, *doubled* that the EntryPoint executed
more than once. *Gaps* are nonces that wait for ever and bundles that do. The *books* are equal when the utility's
treasury got exactly what the operations paid, the paymaster's deposit fell by exactly the gas that the rows say, and
the end of each of our own operations is told exactly once. One run on two cores:

| drill | operations | lost | doubled | gaps | books | seconds | |
|---|---|---|---|---|---|---|---|
"""


def line(outcome: drills.Outcome) -> str:
    """Return one drill's outcome in a line."""
    verdict = outcome.verdict
    what = _what(outcome)
    return (
        f"{'good' if verdict.is_good else 'BAD '} {what}: {verdict.operations} operations, {verdict.lost} lost, "
        f"{verdict.doubled} doubled, {verdict.gaps} gaps, books {verdict.books}, {outcome.seconds:.1f} s {outcome.note}"
    )


def _what(outcome: drills.Outcome) -> str:
    return (drills.DRILLS[outcome.name].__doc__ or outcome.name).rstrip(".")


def write(outcomes: Sequence[drills.Outcome]) -> None:
    """Put the table into the documentation."""
    rows = [
        f"| {_what(each)} | {each.verdict.operations} | {each.verdict.lost} | "
        f"{each.verdict.doubled} | {each.verdict.gaps} | {each.verdict.books} | {each.seconds:.0f} | {each.note} |"
        for each in outcomes
    ]
    _PATH.write_text(_HEAD + "\n".join(rows) + "\n\n" + _sums(outcomes) + "\n")


def _sums(outcomes: Sequence[drills.Outcome]) -> str:
    found = summary(outcomes, broken=[])
    return (
        f"Together: {found['drills']} drills, {found['operations']} operations, {found['lost']} lost, "
        f"{found['doubled']} doubled, {found['gaps']} gaps."
    )


def summary(outcomes: Sequence[drills.Outcome], *, broken: Sequence[str]) -> dict[str, object]:
    """Return the sums."""
    verdicts = [each.verdict for each in outcomes]
    return {
        "drills": len(outcomes) + len(broken),
        "good": sum(each.is_good for each in verdicts),
        "operations": sum(each.operations for each in verdicts),
        "lost": sum(each.lost for each in verdicts),
        "doubled": sum(each.doubled for each in verdicts),
        "gaps": sum(each.gaps for each in verdicts),
        "books_differ": sum(each.books != "equal" for each in verdicts),
        "broken_off": list(broken),
        "seconds": round(sum(each.seconds for each in outcomes), 1),
    }
