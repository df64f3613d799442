"""The notes beneath a paper's table: how to read it, and what it does not show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from workflow_src.artifacts.split_summary import SplitSummary
from workflow_src.scheduling.other_code import WORDS, is_of_other_code, listed, retraining
from workflow_src.tables.grid import Grid
from workflow_src.tables.layout import DataColumn
from workflow_src.tables.phm2012 import phm2012_notes
from workflow_src.tables.plan import TablePlan
from workflow_src.tables.protocols import DRAWN, NOTES
from workflow_src.tables.results import Results
from workflow_src.tables.statistics import CEILING, MIN_SEEDS, beats_trivial
from workflow_src.tasks.registry import label_of, task_of
from workflow_src.tasks.scores import Metric

_STRENGTHS = {
    "rig": "rig: the test part holds rigs that training never saw",
    "unit": "unit: the test part holds specimens that training never saw",
    "condition": "condition: the same specimens at a speed or load that training never saw",
    "run": "run: other runs of the same specimens in the same conditions",
    "time_block": "time_block: other times of the same recordings",
    "leaky": "leaky: windows drawn at random from recordings that are in training as well, so that "
    "test windows share samples with it; comparable with no other column",
}
_NOT_SEARCHED = (
    "warning: content that its parts share was not searched for, as its spans are too short"
)
NOT_SHOWN = "Not shown: "


def notes_of(plan: TablePlan, results: Results, grid: Grid, *, is_first: bool) -> list[str]:
    """The notes without a letter, in reading order.

    Notes on all tables of a file stand beneath the first one.
    """
    notes = [_reading(grid)] if grid.columns else []
    if is_first and grid.columns and task_of(grid.task).note:
        notes.append(task_of(grid.task).note)
    protocols = dict.fromkeys(column.protocol for column in grid.columns)
    notes += [NOTES[protocol] for protocol in protocols if protocol in NOTES]
    notes += _about_splits(plan, results, grid)
    notes += phm2012_notes(plan, results, grid)
    notes += _against_trivial(grid)
    notes += other_code_notes(plan, results, grid)
    if is_first:
        notes += [f"{NOT_SHOWN}{_listed(labels)} ({why})." for why, labels in grid.without.items()]
        if results.missing:
            done = len(plan.cells) - len(results.missing)
            notes.append(f"Partial: {done} of the study's {len(plan.cells)} cells have scores.")
    return notes


def _listed(labels: Sequence[str]) -> str:
    """Labels joined by semicolons, since they may hold commas."""
    return "; ".join(dict.fromkeys(labels))


def _grouped(texts: Mapping[str, str]) -> list[str]:
    """`labels: text`, grouped by text; labels without text are left out."""
    return _said_once({label: [text] for label, text in texts.items() if text})


def _said_once(told: Mapping[str, Sequence[str]]) -> list[str]:
    """`labels: text; text`: each text once, with the labels that share it."""
    labels: dict[str, list[str]] = {}
    for label, texts in told.items():
        for text in texts:
            labels.setdefault(text, []).append(label)
    shared: dict[str, list[str]] = {}
    for text, of in labels.items():
        shared.setdefault(_listed(of), []).append(text)
    return [f"{of}: {'; '.join(texts)}" for of, texts in shared.items()]


def other_code_notes(plan: TablePlan, results: Results, grid: Grid) -> list[str]:
    """A note on cells of this table that were trained with other code than the present one."""
    shown = {(row.model, name) for row in grid.rows for c in grid.columns for name in c.datasets}
    names = [
        cell.name
        for cell, report in results.training.items()
        if (cell.model, cell.dataset) in shown
        and cell not in results.missing
        and grid.task in plan.task_sets[cell.task_set].tasks
        and is_of_other_code(report)
    ]
    if not names:
        return []
    anew = f"the command of the run with `{retraining(plan.study)}` trains them anew"
    return [f"{WORDS.capitalize()} than that of now: {listed(names)}; {anew}."]


def _reading(grid: Grid) -> str:
    metrics = [grid.metrics[k] for k in grid.ranked] or list(grid.metrics)
    shown = [s.summary or s.stand_in for by_column in grid.scores for by in by_column for s in by]
    summaries = [summary for summary in shown if summary is not None]
    text = f"{'; '.join(map(_direction, metrics))}; mean "
    text += "± standard deviation (ddof 1) " if any(s.sd is not None for s in summaries) else ""
    text += f"over {_seeds(grid)}"
    if any(summary.low is not None for summary in summaries):
        rotated = {c.label: str(len(c.datasets)) for c in grid.columns if len(c.datasets) > 1}
        what = "draws" if grid.columns[0].protocol in DRAWN else "rotations"
        text += f"; in brackets the range over {what} ({_counts(rotated)})"
    if any(mark for rankings in grid.rankings for ranking in rankings for mark in ranking.marks):
        text += ". Best bold, second underlined, trivial rows included"
        if any(metric.higher_is_better for metric in metrics):
            mixed = not all(metric.higher_is_better for metric in metrics)
            text += f"; scores from {CEILING:g} on count as equal"
            text += " where higher is better" * mixed
    return text[0].upper() + text[1:] + "."


def _direction(metric: Metric) -> str:
    unit = f" [{metric.unit}]" if metric.unit else ""
    return f"{metric.label}{unit}, {'higher' if metric.higher_is_better else 'lower'} is better"


def _seeds(grid: Grid) -> str:
    """`3 seeds`, or the number per column if columns differ."""
    counts = {column.label: column.seeds for column in grid.columns}
    if len(set(counts.values())) > 1:
        return "seeds (" + _counts({label: str(n) for label, n in counts.items()}) + ")"
    (n,) = set(counts.values())
    return f"{n} seed{'s' * (n != 1)}" + " (± from 3 on)" * (n < MIN_SEEDS)


def _counts(counts: Mapping[str, str]) -> str:
    """One value if all labels share it, else each value with its labels."""
    if len(set(counts.values())) == 1:
        return next(iter(counts.values()))
    return "; ".join(_grouped(counts))


# ------------------------------------------------------------------------------- splits


def _about_splits(plan: TablePlan, results: Results, grid: Grid) -> list[str]:
    strengths = dict.fromkeys(column.strength for column in grid.columns)
    notes = [f"{text[0].upper()}{text[1:]}." for s, text in _STRENGTHS.items() if s in strengths]
    counted = {column.label: column.counted for column in grid.columns if column.counted}
    if counted:
        what = "Runs to failure" if label_of(grid.task) == "rul" else "Units"
        notes.append(f"{what} in train/test: {_counts(counted)}.")
    told = {c.label: _told(plan, results, grid.task, c) for c in grid.columns}
    notes += [f"{text}." for text in _said_once(told)]
    if label_of(grid.task) in ("fault", "anomaly"):
        notes += _one_specimen(results, grid)
    return notes + _about_noise(plan, grid)


def _told(plan: TablePlan, results: Results, task: str, column: DataColumn) -> list[str]:
    """The notes, reasons and warnings of a column's splits and audits."""
    splits = [results.splits[name] for name in column.datasets if name in results.splits]
    told = [plan.datasets[column.datasets[0]].note]
    told += [text for split in splits for text in split.reasons]
    told += [f"warning: {text}" for split in splits for text in split.warnings]
    audits = [results.audits[name] for name in column.datasets if name in results.audits]
    shortcuts = [text for a in audits for text in a.warnings.get(task, [])]
    told += [f"warning: {text}" for text in shortcuts]
    if any(a.certain_from_samples is None for a in audits):
        told.append(_NOT_SEARCHED)
    return [text.rstrip(".") for text in dict.fromkeys(told) if text]


def _about_noise(plan: TablePlan, grid: Grid) -> list[str]:
    """Columns with noise on test windows, if noise changes the meaning of the scores."""
    spec = task_of(grid.task)
    noisy = {c.label: plan.datasets[c.datasets[0]].noise_db for c in grid.columns}
    told = [f"{label} ({db:g} dB)" for label, db in noisy.items() if db is not None]
    if not told or not spec.noise_note:
        return []
    return [f"White noise on the windows of the test part: {_listed(told)}. {spec.noise_note}"]


def _one_specimen(results: Results, grid: Grid) -> list[str]:
    alone = {}
    for column in grid.columns:
        splits = [results.splits[name] for name in column.datasets if name in results.splits]
        found = dict.fromkeys(fault for split in splits for fault in single_units(split))
        alone[column.label] = ", ".join(found)
    if not any(alone.values()):
        return []
    which = "; ".join(_grouped(alone))
    return [
        "One specimen in all, so that a score says “recognises this specimen”, not “diagnoses "
        f"the fault”: {which}."
    ]


def single_units(split: SplitSummary) -> list[str]:
    """Classes with a single unit in the whole split.

    In a `rig` or `unit` split, test shares no unit with the other parts. In any other split, the
    parts may hold the same unit.
    """
    alone = []
    for fault, units in split.units_per_class.items():
        seen = max(units.train, units.val)
        apart = split.strength in ("rig", "unit")
        total = seen + units.test if apart else max(seen, units.test)
        if total <= 1:
            alone.append(fault)
    return alone


# ------------------------------------------------------------------------------- claims


def _against_trivial(grid: Grid) -> list[str]:
    """Where a model does not beat the trivial rows, and where no claim is possible.

    The first ranking metric decides.
    """
    if not grid.ranked:
        return []
    main = grid.ranked[0]
    metric = grid.metrics[main]
    beaten, undefined = 0, False
    unbeaten: dict[str, list[str]] = {}
    unsaid: dict[str, list[str]] = {}
    trivial = [i for i, row in enumerate(grid.rows) if row.group == "trivial"]
    for i, row in enumerate(grid.rows):
        for j, column in enumerate(grid.columns):
            summary = grid.scores[i][j][main].summary
            undefined |= row.group == "model" and summary is None
            if row.group != "model" or summary is None:
                continue
            others = [grid.scores[t][j][main].summary for t in trivial]
            beats = beats_trivial(
                summary.seeds,
                [other.seeds for other in others if other is not None],
                higher_is_better=metric.higher_is_better,
            )
            if beats is None:
                unsaid.setdefault(row.label, []).append(column.label)
            elif beats:
                beaten += 1
            else:
                unbeaten.setdefault(row.label, []).append(column.label)
    rule = "the best trivial row by more than two standard errors"
    rule += f" in {metric.label}" * (len(grid.ranked) > 1)
    notes = []
    if unbeaten:
        notes.append(f"Does not beat {rule}: {_places(grid, unbeaten)}.")
    if beaten and not unbeaten and not unsaid:
        where = f" wherever the table gives its {metric.label}" if undefined else ""
        notes.append(f"Every model beats {rule}{where}.")
    if unsaid:
        places = "" if not beaten and not unbeaten else f": {_places(grid, unsaid)}"
        notes.append(f"No claim against the trivial rows, which takes {MIN_SEEDS} seeds{places}.")
    return notes


def _places(grid: Grid, columns: Mapping[str, Sequence[str]]) -> str:
    """`DLinear (A; B), FNO (everywhere)`: rows, each with its columns."""
    everywhere = [column.label for column in grid.columns]
    return ", ".join(
        f"{row} ({'everywhere' if list(of) == everywhere else _listed(of)})"
        for row, of in columns.items()
    )
