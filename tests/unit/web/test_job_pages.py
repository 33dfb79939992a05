"""From stored jobs to what is shown of them."""

from __future__ import annotations

from app.features.jobs import pages
from app.features.jobs.schemas import Step, StepKey, StepState
from tests.unit.web.pages.base import NOW


def test_what_is_backed_up_waits_no_more() -> None:
    steps = [
        Step(key=StepKey.QUEUED, state=StepState.RUN, started_at=NOW),
        Step(key=StepKey.BACKUP, state=StepState.RUN, started_at=NOW),
    ]
    pages._leave_queue(steps)
    assert [step.state for step in steps] == [StepState.DONE, StepState.RUN]
    assert steps[0].finished_at == NOW
    waiting = [Step(key=StepKey.QUEUED, state=StepState.RUN, started_at=NOW)]
    pages._leave_queue(waiting)
    assert waiting[0].state is StepState.RUN and waiting[0].finished_at is None
