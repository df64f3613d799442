"""What each cell asks for: of its settings, its forecast, and what finished attempts teach."""

from __future__ import annotations

import fnmatch
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import JsonValue

from workflow_src import cells as paths
from workflow_src.artifacts.forecast_file import CellForecast, Correction, DatasetForecast
from workflow_src.artifacts.forecast_file import forecast_key as key_of_forecast
from workflow_src.cells import Cell
from workflow_src.configuration import Configuration, snapshot
from workflow_src.errors import BadData
from workflow_src.forecasting.learn import learn
from workflow_src.scheduling.attempt_history import cause_without_end, last_sample
from workflow_src.scheduling.capacity import Demand, with_capacity
from workflow_src.scheduling.events import Ended, Event
from workflow_src.scheduling.hardware import larger_than_all
from workflow_src.scheduling.journal import Journal
from workflow_src.scheduling.lock import newest
from workflow_src.scheduling.next_request import Forecast, JobRequest, Policy
from workflow_src.scheduling.observed import Known, Observed, observe
from workflow_src.scheduling.preference import Choice, prefer


class Requests:
    """What the cells of a run ask for.

    Args:
        configuration: of the run.
        trainings: its cells that are networks; one that asks for more than a node has is refused.
        learned: corrections, of when the run of this job began; None: this process learns.

    Raises:
        UserError: no hardware class has what a training asks for.
    """

    def __init__(
        self,
        configuration: Configuration,
        trainings: Sequence[Cell],
        learned: Sequence[Mapping[str, JsonValue]] | None,
    ) -> None:
        self._configuration, self._study = configuration, configuration.run.study
        self._trainings, self._learned = trainings, learned
        classes, hardware = configuration.classes, configuration.hardware
        more = {n for of in ("gpu", "host") for n in larger_than_all(classes, hardware, of)}
        self._larger = {name: classes[name] for name in more}
        for cell in trainings:
            self.classes_of(cell)

    def of(self, cell: Cell, attempt: int = 1) -> JobRequest:
        """What the next attempt of `cell` asks for, the `attempt`-th of this invocation."""
        journal = paths.runs(self._study, cell) / "attempts.jsonl"
        written = journal.stat().st_size if journal.exists() else 0
        forecasts = tuple(self.forecast(cell, name) for name in self.classes_of(cell))
        return self._decided(cell, attempt, written, forecasts)

    @functools.cache  # noqa: B019 - lives as long as the process
    def classes_of(self, cell: Cell) -> Sequence[str]:
        """The hardware classes whose nodes have what `cell` asks for, the first choice first.

        Raises:
            UserError: there is none.
        """
        configuration = self._configuration
        training = configuration.resolve(*cell.key).training
        if training is None:
            return list(configuration.hardware)
        keys = [
            set(rule.model_fields_set)
            for rule in configuration.run.requests
            if fnmatch.fnmatchcase(cell.name, rule.cells)
        ]
        demand = Demand(
            cell=cell.name,
            request=configuration.request(*cell.key),
            by_pattern=frozenset().union(*keys),
            threads=training.torch_threads,
            precision=training.precision,
        )
        return with_capacity(demand, configuration.hardware, configuration.classes)

    def forecast(self, cell: Cell, name: str) -> CellForecast | None:
        """What `cell` is expected to need on a hardware class.

        None: there is no forecast of its present settings.
        """
        made = self._forecast_as_made(cell, name)
        return None if made is None else made.corrected(self.corrections.get((name, cell.model)))

    @functools.cached_property
    def corrections(self) -> Mapping[tuple[str, str], Correction]:
        """What finished attempts teach, by hardware class and model: fixed when a run begins."""
        if self._learned is None:
            return learn(self.observed)
        found = map(Correction.model_validate, self._learned)
        return {(one.hardware, one.model): one for one in found}

    @functools.cached_property
    def observed(self) -> list[Observed]:
        """What finished attempts of the study used, as far as the journals tell at first asking."""
        return observe(self._study, self._known)

    def _known(self, cell: Cell, hardware: str) -> Known | None:
        if cell.of_all_seeds not in self._of_grid or hardware not in self._configuration.hardware:
            return None
        identity = self._configuration.resolve(*cell.key).identity
        request = self._configuration.request(*cell.key)
        return Known(identity, request, self._forecast_as_made(cell, hardware))

    @functools.cached_property
    def _of_grid(self) -> frozenset[tuple[str, str, str]]:
        return frozenset(cell.of_all_seeds for cell in self._trainings)

    def _forecast_as_made(self, cell: Cell, name: str) -> CellForecast | None:
        """Before anything is learned."""
        file = paths.forecast_file(self._study, cell.dataset)
        try:
            known = self._forecasts(file, file.stat().st_mtime_ns)
        except FileNotFoundError:
            return None
        return known.get(self.forecast_key(cell, name))

    @functools.cache  # noqa: B019 - lives as long as the process
    def _forecasts(self, file: Path, written_ns: int) -> Mapping[str, CellForecast]:
        try:
            return DatasetForecast.read(file).cells
        except BadData:  # since `require_forecasts`; a request is due all the same
            return {}

    @functools.cache  # noqa: B019 - lives as long as the process
    def forecast_key(self, cell: Cell, name: str) -> str:
        """What decides the forecast of `cell` on a hardware class."""
        configuration = self._configuration
        request, hardware = configuration.request(*cell.key), configuration.hardware[name]
        return key_of_forecast(configuration.resolve(*cell.key), request, hardware)

    # Snakemake asks for each resource by itself; nothing has happened while the journal has not
    # grown.
    @functools.cache  # noqa: B019 - lives as long as the process
    def _decided(
        self,
        cell: Cell,
        attempt: int,
        journal_bytes: int,
        forecasts: tuple[CellForecast | None, ...],
    ) -> JobRequest:
        names = self.classes_of(cell)
        known = zip(names, forecasts, strict=True)
        choices = [self._choice(cell, attempt, *each) for each in known]
        return prefer(choices, self._events(cell, attempt) if journal_bytes else [])

    def _choice(self, cell: Cell, attempt: int, name: str, forecast: CellForecast | None) -> Choice:
        configuration = self._configuration
        resolved, request = configuration.resolve(*cell.key), configuration.request(*cell.key)
        training, hardware = resolved.training, configuration.hardware[name]
        policy = Policy(
            threads=1 if training is None else training.torch_threads,
            site=configuration.sites[name],
            hardware=name,
            identity=resolved.identity,
            run=snapshot.run_name(),
            attempt=attempt,
            wait_minutes=configuration.run.wait_minutes,
            classes=self._larger if name == self.classes_of(cell)[-1] else {},
        )
        batch_size, epochs = (1, 1) if training is None else (training.batch_size, training.epochs)
        configured = Forecast.configured(request, batch_size, forecast, epochs)
        return Choice(hardware, configured, policy)

    def _events(self, cell: Cell, attempt: int) -> list[Event]:
        """The journal; a start without an end, which Snakemake calls failed, gets its end."""
        folder = paths.runs(self._study, cell)
        events = Journal(folder / "attempts.jsonl").events()
        sample = last_sample(newest(folder)[1])
        cause = cause_without_end(events, sample) if attempt > 1 else None
        if cause is not None:
            events.append(Ended(cause=cause.text, message="no end was written"))
        return events

    def learned_in_words(self) -> list[str]:
        """The corrections that change what is asked for."""
        return [line for one in self.corrections.values() for line in one.in_words()]

    def resource_names(self, cell: Cell) -> list[str]:
        """Of what `cell` may ask for on any hardware class."""
        each = [
            self._choice(cell, 1, name, None).request([]) for name in self._configuration.hardware
        ]
        return [name for one in each for name in one.resources()]
