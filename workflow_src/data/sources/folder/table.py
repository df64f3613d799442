"""From a list of files to the fields of their recordings; no sample is read here."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from workflow_src.configuration.folder import OWN_FIELDS, FolderOptions, Lookup
from workflow_src.configuration.patterns import compile_pattern, fill, natural_key
from workflow_src.configuration.validation_errors import as_flow
from workflow_src.data.sources.folder.cells import NumberForm, has_comma
from workflow_src.data.sources.folder.listing import (
    Listing,
    Wanted,
    by_names,
    by_pattern,
    list_below,
    shown,
)
from workflow_src.data.sources.folder.table_rows import table_rows
from workflow_src.errors import BadData, UserError


@dataclass(frozen=True)
class ListedFile:
    """One recording to be read: its file below the folder, its fields, and where these stand."""

    file: str
    fields: Mapping[str, str]
    array: str | None
    where: str
    time_s: float | None = None
    life_s: float | None = None


def list_entries(
    options: FolderOptions, folder: Path, config_folder: Path
) -> tuple[list[ListedFile], list[str]]:
    """The recordings of a folder, by run, time and number, and notes on what was left out."""
    if options.table is not None:
        table = config_folder / options.table
        rows = table_rows(table, options.encoding)
        listing = _listing(folder, by_names({row["file"] for _, row in rows}))
        entries = _from_table(options, table.name, rows, listing, folder)
    else:
        wanted = by_pattern(options.files or "")
        listing = _listing(folder, wanted)
        _refuse_unseen(listing, wanted, folder)
        entries = _from_pattern(options, listing.files, folder)
    entries = _with_life([_with_time(options, entry) for entry in entries], options)
    _refuse_duplicates(entries)
    entries.sort(
        key=lambda e: (natural_key(e.fields["run_id"]), e.time_s or 0.0, natural_key(e.file))
    )
    return entries, _ignored(listing.files, entries) + listing.notes() + _falling(options, entries)


def _listing(folder: Path, wanted: Wanted) -> Listing:
    if not folder.is_dir():
        raise UserError(
            "The folder of a rig is missing.",
            where=str(folder),
            remedy="mend `path:` under `folder:` of the rig, or `data_root:` of the config (or "
            "the environment variable PHM_DATA_ROOT)",
        )
    return list_below(folder, wanted)


def _refuse_unseen(listing: Listing, wanted: Wanted, folder: Path) -> None:
    """Raise for a name that may be, or may hold, a recording and could not be looked at."""
    unseen = [f"{n}: {why}" for n, why in listing.unseen.items() if wanted.on_the_way(n)]
    if unseen:
        raise BadData(
            "Below the folder of a rig lies what `files:` may match, but cannot be looked at.",
            where=str(folder),
            found=shown(unseen),
            expected="folders that can be read, and links that lead to a file or a folder",
            remedy=f"give yourself the right to read it (chmod -R u+rX {folder}), mend the link,\n"
            "or take what is no recording out of the folder",
        )


def _from_pattern(options: FolderOptions, present: list[str], folder: Path) -> list[ListedFile]:
    pattern = options.files or ""
    expression = compile_pattern(pattern)
    excluded = [compile_pattern(one) for one in options.exclude or ()]
    kept = [file for file in present if not any(one.fullmatch(file) for one in excluded)]
    matches = [match for file in kept if (match := expression.fullmatch(file))]
    if not matches and any(expression.fullmatch(file) for file in present):
        raise UserError(
            "`exclude` leaves no file that matches the pattern of a rig.",
            where=str(folder),
            found=f"exclude: {list(options.exclude or ())}",
            expected=f"files: {pattern!r}",
            remedy="mend `exclude:` under `folder:` of the rig",
        )
    if not matches:
        raise UserError(
            "No file matches the pattern of a rig.",
            where=str(folder),
            found=f"{len(present)} files; the nearest name: {_nearest(pattern, present)}",
            expected=f"files: {pattern!r}",
            remedy="mend `files:` or `path:` under `folder:` of the rig",
        )
    return [
        _entry(options, match.string, match.groupdict(), options.fields, match.string)
        for match in matches
    ]


def _from_table(
    options: FolderOptions,
    table: str,
    rows: list[tuple[int, dict[str, str]]],
    listing: Listing,
    folder: Path,
) -> list[ListedFile]:
    known, entries = set(listing.files), []
    for line, row in rows:
        where, file = f"{table}, line {line}", row.pop("file")
        if file not in known:
            near = f"the nearest name: {_nearest(file, listing.files)}"
            raise BadData(
                "A file that a rig's table names is missing.",
                where=where,
                found=f"no {folder / file}; {listing.reason(file) or near}",
                remedy="mend the column `file`, or fetch the file",
            )
        own = {name: "{" + name + "}" for name in row if name != "array"}
        entries.append(_entry(options, file, row, {**own, **options.fields}, where))
    return entries


def _entry(
    options: FolderOptions,
    file: str,
    groups: Mapping[str, str],
    rules: Mapping[str, str | Lookup],
    where: str,
) -> ListedFile:
    fields: dict[str, str] = {}
    for name, rule in rules.items():
        text = field_text(name, rule, groups, where)
        if text or name not in OWN_FIELDS:
            fields[name] = text
    for name in ("unit_id", "condition", "run_id"):
        if name not in fields:
            raise BadData(
                f"A recording has no {name}.",
                where=where,
                remedy=f"give `{name}` under `fields:` of the rig, or as a column of its table",
            )
    fields.setdefault("recording_id", re.sub(r"(\.[^\W\d]\w*)(\.gz)?$", "", file).replace("/", "."))
    number = groups.get(options.time.group, "") if options.time else ""
    time_s = _index_time(options, number, where) if options.time else None
    return ListedFile(file, fields, groups.get("array") or options.array, where, time_s)


def field_text(name: str, rule: str | Lookup, groups: Mapping[str, str], where: str) -> str:
    """The text of the field `name`, made by its rule from `groups`.

    Raises ``UserError``, naming `where`, for a name that `groups` lacks or a text to look up that
    has no value.
    """
    try:
        text = groups[rule.group] if isinstance(rule, Lookup) else fill(rule, groups)
    except KeyError as error:
        raise UserError(
            f"The field {name} uses a name that there is not.",
            where=where,
            found=str(error),
            expected=f"one of {', '.join(groups)}",
            remedy=f"mend `{name}:` under `fields:` of the rig",
        ) from error
    if not isinstance(rule, Lookup):
        return text
    if text not in rule.values:
        raise UserError(
            f"No value for {name}.",
            where=where,
            found=f"{rule.group} = {text!r}",
            expected=f"one of {', '.join(map(as_flow, rule.values))}",
            remedy=f"add `{as_flow(text)}: VALUE` to the values of `{name}:` under `fields:`",
        )
    return rule.values[text]


def _index_time(options: FolderOptions, number: str, where: str) -> float:
    assert options.time is not None
    if not number.isdecimal():
        raise BadData(
            "The number of a snapshot is not a number.",
            where=where,
            found=f"{options.time.group} = {number!r}",
            expected="digits, as `time:` counts snapshots by their number",
            remedy="mend `time:` under `folder:` of the rig; for dates and times give a `table:`\n"
            "with a column `time_s`, the seconds since the first snapshot of the run",
        )
    return (int(number) - options.time.first) * options.time.step_s


def _falling(options: FolderOptions, entries: list[ListedFile]) -> list[str]:
    """A note on the runs in which names go on, but the number that the time is made of falls."""
    last: dict[str, ListedFile] = {}
    found: list[str] = []
    for entry in sorted(entries, key=lambda e: natural_key(e.file)) if options.time else ():
        before = last.get(entry.fields["run_id"], entry)
        if (entry.time_s or 0.0) < (before.time_s or 0.0):
            found.append(f"{before.file}, then {entry.file}")
        last[entry.fields["run_id"]] = entry
    if not found or options.time is None:
        return []
    return [
        f"the time in life, by `{options.time.group}` alone, falls {len(found)} times where names "
        f"go on ({found[0]}): if the number starts again within a run, as minutes do, give a "
        "`table:` with `time_s`"
    ]


def number_of(entry: ListedFile, name: str) -> float | None:
    """A field as a number, None if it is absent; ``BadData`` if it is something else."""
    text = entry.fields.get(name)
    if text is None or NumberForm().kind(text) == "number":
        return None if text is None else float(text)
    comma, parted = has_comma(text), re.fullmatch(r"[+-]?[0-9]+(_[0-9]+)+(\.[0-9]*)?", text)
    plain = text.replace(",", ".") if comma else text.replace("_", "")
    raise BadData(
        f"{name} is not a number." + (" It has a decimal comma?" if comma else ""),
        where=entry.where,
        found=f"{name} = {text!r}",
        remedy=f"write `{plain}`, if so" if comma or parted else None,
    )


def _with_time(options: FolderOptions, entry: ListedFile) -> ListedFile:
    time_s = entry.time_s if options.time else number_of(entry, "time_s")
    return replace(entry, time_s=time_s, life_s=number_of(entry, "life_s"))


def _with_life(entries: list[ListedFile], options: FolderOptions) -> list[ListedFile]:
    """Give the runs that end in failure their life: the time of the last recording."""
    failing = options.ends_in_failure
    lives: dict[str, float] = {}
    for entry in entries:
        run = entry.fields["run_id"]
        if failing is True or (failing and run in failing):
            if entry.time_s is None:
                raise BadData(
                    f"Run {run} ends in failure, but a recording has no time in life.",
                    where=entry.where,
                    remedy="give `time:` under `folder:` of the rig, or the field `time_s`",
                )
            lives[run] = max(lives.get(run, 0.0), entry.time_s)
    absent = [run for run in (failing if isinstance(failing, tuple) else ()) if run not in lives]
    if absent:
        runs = sorted({entry.fields["run_id"] for entry in entries}, key=natural_key)
        raise UserError(
            "`ends_in_failure` names runs that there are not.",
            found=", ".join(absent),
            expected=f"of {', '.join(runs)}",
            remedy="mend `ends_in_failure:` under `folder:` of the rig",
        )
    return [replace(e, life_s=lives.get(e.fields["run_id"], e.life_s)) for e in entries]


def _refuse_duplicates(entries: list[ListedFile]) -> None:
    first: dict[str, ListedFile] = {}
    for entry in entries:
        name = entry.fields["recording_id"]
        if name in first:
            raise BadData(
                "Two recordings have one recording_id.",
                where=f"{first[name].where} and {entry.where}",
                found=f"{name!r} twice",
                remedy="give each its own `recording_id` under `fields:` of the rig",
            )
        first[name] = entry


def _nearest(name: str, present: list[str]) -> str:
    near = difflib.get_close_matches(name, present[:2000], n=1, cutoff=0.0)
    return near[0] if near else "none, the folder is empty"


def _ignored(present: list[str], entries: list[ListedFile]) -> list[str]:
    """One note with the number of files that are no recording, by name without numbers."""
    used = {entry.file for entry in entries}
    left = [file.rpartition("/")[2] for file in present if file not in used]
    if not left:
        return []
    kinds = Counter(re.sub(r"[0-9]+", "*", name) for name in left).most_common(10)
    counts = ", ".join(f"{kind}: {count}" for kind, count in kinds)
    return [f"{len(left)} files match no rule of the rig and were left out ({counts})"]
