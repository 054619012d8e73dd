"""What runs came to, in words for whoever clicked."""

from __future__ import annotations

from omero_hcs.scripting.answers import Answer
from omero_hcs.scripting.call import Call
from omero_hcs.tasks.driver import RunOutcome
from omero_hcs.tasks.dry_run import DryRun


def tell_outcome(call: Call, outcome: RunOutcome) -> Answer:  # noqa: ARG001
    """Say what a run came to."""
    summary = outcome.summary
    return Answer(f"Run {outcome.run_id}: {outcome.status}. {summary.get('cells')} cells.")


def tell_dry_run(told: DryRun) -> Answer:
    """Say what a run would do."""
    return Answer(f"Dry run: {told.state}.", failed=bool(told.faults))
