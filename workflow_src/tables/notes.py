"""What stands beneath a paper's table: how to read it, and what it does not show."""

from __future__ import annotations

from workflow_src.artifacts.split_summary import SplitSummary
from workflow_src.scheduling.other_code import WORDS, is_of_other_code, listed, retraining
from workflow_src.tables.grid import Grid
from workflow_src.tables.phm2012 import phm2012_notes
from workflow_src.tables.plan import TablePlan
from workflow_src.tables.results import Results
from workflow_src.tables.statistics import CEILING, MIN_SEEDS, beats_trivial

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
_ABOUT_TASK = {
    "anomaly_detection": "Supervised, a coarsening of the fault classes: a gain here is no "
    "evidence of its own beside classification. The threshold of the false alarms is the 95th "
    "percentile of the healthy validation spans.",
    "signal_prediction": "Over the first 32 samples of the horizon; beyond them hardly anything "
    "beats the mean. results.csv holds the errors by step.",
    "rul_prediction": "Fraction of life left; computed for each run, then averaged over runs.",
}


def notes_of(plan: TablePlan, results: Results, grid: Grid) -> list[str]:
    """The notes without a letter, in the order in which they are read."""
    notes = [_reading(grid)]
    if grid.task in _ABOUT_TASK:
        notes.append(_ABOUT_TASK[grid.task])
    notes += _about_splits(plan, results, grid)
    notes += phm2012_notes(plan, results, grid)
    notes += _at_ceiling(grid)
    notes += _against_trivial(grid)
    notes += _of_other_code(plan, results, grid)
    if results.missing:
        done = len(plan.cells) - len(results.missing)
        notes.append(f"Partial: {done} of the study's {len(plan.cells)} cells have scores.")
    return notes


def _of_other_code(plan: TablePlan, results: Results, grid: Grid) -> list[str]:
    """Cells of this table that are not of the code that the workflow has now."""
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
    metric = grid.metrics[0]
    unit = f" [{metric.unit}]" if metric.unit else ""
    direction = "higher" if metric.higher_is_better else "lower"
    shown = [s.summary or s.stand_in for by_column in grid.scores for by in by_column for s in by]
    summaries = [summary for summary in shown if summary is not None]
    spread = any(summary.sd is not None for summary in summaries)
    text = f"{metric.label}{unit}, {direction} is better; "
    text += (
        "mean ± standard deviation over seeds (ddof 1; n beneath each heading)"
        if spread
        else f"mean over seeds (n beneath each heading), without ± below {MIN_SEEDS} seeds"
    )
    if any(summary.low is not None for summary in summaries):
        text += "; in brackets the least and greatest mean of a rotation"
    if any(mark for ranking in grid.rankings for mark in ranking.marks):
        text += ". Best bold, second underlined, trivial rows included"
        if grid.task != "rul_prediction":
            text += f"; scores from {CEILING:g} on count as equal"
    return text[0].upper() + text[1:] + "."


# ------------------------------------------------------------------------------- splits


def _about_splits(plan: TablePlan, results: Results, grid: Grid) -> list[str]:
    strengths = dict.fromkeys(column.strength for column in grid.columns)
    legend = [text for name, text in _STRENGTHS.items() if name in strengths]
    counted = "runs to failure" if grid.task == "rul_prediction" else "units"
    notes = [f"Splits: {'; '.join(legend)}. Counts are {counted} in train/test."] if legend else []
    for column in grid.columns:
        splits = [results.splits[name] for name in column.datasets if name in results.splits]
        told = [plan.datasets[column.datasets[0]].note]
        told += [text for split in splits for text in split.reasons]
        told += [f"warning: {text}" for split in splits for text in split.warnings]
        audits = [results.audits[name] for name in column.datasets if name in results.audits]
        shortcuts = [text for a in audits for text in a.warnings.get(grid.task, [])]
        told += [f"warning: {text}" for text in shortcuts]
        if any(a.certain_from_samples is None for a in audits):
            told.append(_NOT_SEARCHED)
        if grid.task in ("classification", "anomaly_detection"):
            told.append(_one_specimen(splits))
        unique = [text.rstrip(".") for text in dict.fromkeys(told) if text]
        if unique:
            notes.append(f"{column.label}: {'; '.join(unique)}.")
    if grid.task == "signal_prediction":
        notes += _about_noise(plan, grid)
    return notes


def _about_noise(plan: TablePlan, grid: Grid) -> list[str]:
    """Columns whose test windows bear noise: it enters the unit in which errors are given."""
    noisy = {c.label: plan.datasets[c.datasets[0]].noise_db for c in grid.columns}
    told = [f"{label} ({db:g} dB)" for label, db in noisy.items() if db is not None]
    if not told:
        return []
    return [
        f"White noise on the windows of the test part: {', '.join(told)}. Forecast errors there "
        "are in units of the noisy window's deviation and not comparable with the clean column."
    ]


def _one_specimen(splits: list[SplitSummary]) -> str:
    alone = {fault: None for split in splits for fault in single_units(split)}
    if not alone:
        return ""
    return (
        f"one specimen of {', '.join(alone)}: a score says “recognises this specimen”, "
        "not “diagnoses the fault”"
    )


def single_units(split: SplitSummary) -> list[str]:
    """Classes of which the split has one unit in all.

    Parts of a `rig` or `unit` split share no unit with the test part; parts of any other may hold
    the same one.
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


def _at_ceiling(grid: Grid) -> list[str]:
    columns = [
        column.label
        for column, ranking in zip(grid.columns, grid.rankings, strict=True)
        if ranking.at_ceiling
    ]
    if not columns:
        return []
    return [f"Not ranked, as all models reach {CEILING}: {', '.join(columns)}."]


def _against_trivial(grid: Grid) -> list[str]:
    """Where a model is not shown to beat the trivial rows, and where nothing can be said."""
    beaten, unbeaten, unsaid, undefined = 0, [], [], False
    trivial = [i for i, row in enumerate(grid.rows) if row.group == "trivial"]
    for i, row in enumerate(grid.rows):
        for j, column in enumerate(grid.columns):
            summary = grid.scores[i][j][0].summary
            undefined |= row.group == "model" and summary is None
            if row.group != "model" or summary is None:
                continue
            others = [grid.scores[t][j][0].summary for t in trivial]
            beats = beats_trivial(
                summary.seeds,
                [other.seeds for other in others if other is not None],
                higher_is_better=grid.metrics[0].higher_is_better,
            )
            place = f"{row.label} on {column.label}"
            if beats is None:
                unsaid.append(place)
            elif beats:
                beaten += 1
            else:
                unbeaten.append(place)
    rule = "the best trivial row by more than two standard errors"
    notes = []
    if unbeaten:
        notes.append(f"Does not beat {rule}: {'; '.join(unbeaten)}.")
    if beaten and not unbeaten and not unsaid:
        where = f" wherever the table gives its {grid.metrics[0].label}" if undefined else ""
        notes.append(f"Every model beats {rule}{where}.")
    if unsaid:
        places = "" if not beaten and not unbeaten else f": {'; '.join(unsaid)}"
        notes.append(f"No claim against the trivial rows, which takes {MIN_SEEDS} seeds{places}.")
    return notes
