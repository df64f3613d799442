"""The audit of one dataset as plain JSON and as text, and the error that a leak is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from workflow_src.artifacts.audit_report import AuditReport, SharedContent, SharedSpans
from workflow_src.cells import rig_folder, split_folder
from workflow_src.configuration.task_options import Label
from workflow_src.configuration.tasks import tasks_on
from workflow_src.configuration.validation_errors import as_yaml
from workflow_src.data.audit.features import pieces
from workflow_src.data.audit.leaks import Search, Shared, search
from workflow_src.data.audit.segments import ORDER
from workflow_src.data.audit.shortcuts import LIFE, Shortcut, shortcuts
from workflow_src.data.leaky_windows import LEAKY
from workflow_src.data.split_files import SplitTable, read_split
from workflow_src.data.store import Store
from workflow_src.errors import BadData, UserError

FILE = "audit.json"
_LISTED = 10
_GIVEN_AWAY: dict[str, tuple[Label, ...]] = {  # by the target of a shortcut
    "normal from fault": ("fault", "anomaly"),
    "the class": ("fault",),
    LIFE: ("rul",),
}
_MOST_PAIRS = 1000  # of recordings, in the file


def audit(dataset: str) -> AuditReport:
    """Audit the split in ``data/<dataset>/`` anew, and write its report if that has changed.

    Raises ``UserError`` where there is no split.
    """
    folder = split_folder(dataset)
    if not (folder / "split.csv").is_file():
        raise UserError(
            f"There is no split of `{dataset}` here.",
            where=str(folder.resolve()),
            remedy=f"snakemake --profile profiles/local {folder / 'split.csv'}   # makes its store "
            "as well; with the --configfile that names the dataset",
        )
    split = read_split(folder)
    with Store(rig_folder(split.summary.rig)) as store:
        report = audited(dataset, split, store)
    write_report(report, folder)
    return report


def audited(dataset: str, split: SplitTable, store: Store) -> AuditReport:
    """The report on a split of the recordings in `store`."""
    return report_of(dataset, split, search(store, split), shortcuts(pieces(store, split)))


def write_report(report: AuditReport, folder: Path) -> None:
    """Write ``audit.json`` to `folder`, unless it says the same already."""
    text, path = report.to_json() + "\n", folder / FILE
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        report.write(path)


def report_of(
    dataset: str, split: SplitTable, found: Search, told: Sequence[Shortcut]
) -> AuditReport:
    """What ``audited`` returns of what was found."""
    pairs = _pairs(found.found)
    warnings: dict[str, list[str]] = {}
    for shortcut in told:
        for task in tasks_on(*_GIVEN_AWAY[shortcut.target]) if shortcut.warns else ():
            warnings.setdefault(task, []).append(shortcut.text)
    return AuditReport(
        dataset=dataset,
        rig=split.summary.rig,
        certain_from_samples=found.least,
        declared_leaky=split.summary.strength == LEAKY,
        shared_pairs=len(pairs),
        shared=tuple(pairs[:_MOST_PAIRS]),
        shared_spans=_shared_spans(split, found.found),
        passed_over=found.common,
        shortcuts=tuple(shortcut.found() for shortcut in told),
        warnings=warnings,
    )


Way = float | tuple[str, float]  # samples of shift, or a ratio of rates


def _pairs(found: Sequence[Shared]) -> list[SharedContent]:
    """What two recordings share at one shift, or at one ratio of rates, the most samples first."""
    groups: dict[tuple[str, str, str, str, Way], list[Shared]] = {}
    for one in found:
        way: Way = one.shift if one.ratio == 1 else ("ratio", round(one.ratio, 2))
        groups.setdefault((*one.earlier[:2], *one.held[:2], way), []).append(one)
    pairs = []
    for (earlier, earlier_part, held, held_part, _), group in groups.items():
        covered = _union([(one.held_begin, one.held_begin + one.length) for one in group])
        longest = max(group, key=lambda one: one.length)
        channels = {(one.held_channel, one.earlier_channel) for one in group}
        pair = SharedContent(
            part=held_part,
            recording_id=held,
            begin=covered[0][0],
            end=covered[-1][1],
            shared_with=earlier_part,
            their_recording_id=earlier,
            their_from=min(one.earlier_begin for one in group),
            their_to=max(one.earlier_end for one in group),
            shift=longest.shift,
            samples=sum(stop - start for start, stop in covered),
            stretches=len(covered),
            channels=tuple(sorted(channels)),
            gain=longest.gain,
            **({} if longest.ratio == 1 else {"ratio": longest.ratio}),
        )
        pairs.append(pair)
    return sorted(pairs, key=lambda pair: -pair.samples)


def _union(intervals: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for begin, end in sorted(intervals):
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((begin, end))
    return joined


def _shared_spans(split: SplitTable, found: Sequence[Shared]) -> dict[str, SharedSpans]:
    """For val and test: spans that hold a shared sample, and all spans."""
    span = split.summary.span
    counts = {}
    for part in ORDER[1:]:
        held: dict[str, list[tuple[int, int]]] = {}
        for one in found:
            if one.held.part == part:
                where = (one.held_begin, one.held_begin + one.length)
                held.setdefault(one.held.recording_id, []).append(where)
        rows = split.rows[split.rows["part"] == part]
        hit = [
            any(start < end and begin < start + span for begin, end in held.get(name, ()))
            for name, start in zip(rows["recording_id"], rows["start"], strict=True)
        ]
        counts[part] = SharedSpans(spans=sum(hit), of=len(rows))
    return counts


# ------------------------------------------------------------------------------- in words


def leak(report: AuditReport) -> BadData | None:
    """The error that the report stands for; None without a leak, or where the split declares it."""
    if not report.shared or report.declared_leaky:
        return None
    name = report.dataset
    return BadData(
        f"Parts of the split of `{name}` share content.",
        where=str(Path(split_folder(name), "split.csv")),
        found="\n".join(_found(report)),
        expected="parts that share no sample, whatever the recordings are called",
        remedy="recordings of two runs: leave one out by `select:` of the dataset, or give both "
        "one `run_id` under `fields:` of the rig\n"
        "one recording, or recordings of one run: keep each run whole by strategy unit or run, of "
        "test and of validation; that takes several runs of each class\n"
        "for validation alone, no part is needed:\n"
        + as_yaml(("split", "validation"), {"strategy": "none"}),
    )


def _found(report: AuditReport) -> list[str]:
    lines = []
    for pair in report.shared[:_LISTED]:
        line = (
            f"{pair.part} {pair.recording_id!r} {pair.begin}..{pair.end} is "
            f"{pair.shared_with} {pair.their_recording_id!r} "
            f"{pair.their_from}..{pair.their_to}: {pair.samples} samples, {_way(pair)}"
        )
        if pair.stretches > 1:
            line += f", {pair.stretches} stretches"
        if pair.gain != 1:
            line += f", times {pair.gain:.4g}"
        if any(one != other for one, other in pair.channels):
            line += ", channels " + ", ".join(f"{a} is {b}" for a, b in pair.channels)
        lines.append(line)
    if report.shared_pairs > _LISTED:
        lines.append(f"... {report.shared_pairs - _LISTED} more pairs, in {FILE}")
    for part, count in report.shared_spans.items():
        if count.spans:
            share = 100 * count.spans / count.of
            lines.append(f"{count.spans} of {count.of} {part} spans ({share:.0f} %)")
    return lines


def _way(pair: SharedContent) -> str:
    """By how much a copy is shifted, or how it is played."""
    ratio = pair.ratio
    if ratio == 1:
        return f"shift {pair.shift}"
    rate = [] if abs(ratio) == 1 else [f"at {1 / abs(ratio):.4g} of its rate"]
    return ", ".join([*(["backwards"] if ratio < 0 else []), *rate])


def as_text(report: AuditReport) -> str:
    """What a user reads of a report."""
    least = report.certain_from_samples
    if least is None:
        lines = ["  content: not searched, as its spans are too short"]
    elif report.shared:
        word = "shared, as its split declares" if report.declared_leaky else "LEAK"
        lines = [f"  content: {word}", *(f"    {line}" for line in _found(report))]
    else:
        lines = [f"  content: no stretch of {least} samples or more is shared between parts"]
    if report.passed_over:
        lines.append(f"  passed over: {report.passed_over} places of a pattern that returns")
    texts = {text for texts in report.warnings.values() for text in texts}
    lines += [f"  warning: {text}" for text in sorted(texts)]
    return "\n".join([report.dataset, *lines])
