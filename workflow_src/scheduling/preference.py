"""Which class of a list of hardware classes the next attempt of a cell asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workflow_src.configuration import Hardware
from workflow_src.scheduling.attempt_history import not_begun
from workflow_src.scheduling.events import Event
from workflow_src.scheduling.next_request import Forecast, JobRequest, Policy, decide


@dataclass(frozen=True)
class Choice:
    """One class of the list, for one cell.

    Attributes:
        hardware: the class.
        forecast: what the cell needs there.
        policy: the same for all classes but for their names.
    """

    hardware: Hardware
    forecast: Forecast
    policy: Policy

    def request(self, journal: Sequence[Event]) -> JobRequest:
        """That of the next attempt, if it is on this class."""
        return decide(self.forecast, journal, self.hardware, self.policy)


def prefer(choices: Sequence[Choice], journal: Sequence[Event]) -> JobRequest:
    """The request of the next attempt, on the first class where the cell fits.

    Each attempt of this run that has not begun passes over one more class; the last one is
    waited for. As `decide`: pure, torch-free, never raises.

    Args:
        choices: at least one, the first choice first.
        journal: of the cell.
    """
    asked = [each.request(journal) for each in choices]
    refusal = "; ".join(dict.fromkeys(each.refusal for each in asked))
    left = [each for each in asked if not each.refused]
    left = left or [each.model_copy(update={"refusal": refusal}) for each in asked]
    policy = choices[0].policy
    passed = not_begun(journal, policy.identity, policy.run, policy.attempt)
    if passed < len(left) - 1:
        return left[passed]
    return left[-1].model_copy(update={"wait_minutes": None})
