"""Who, when and where: unit, run and condition of a record, from its File and the table."""

from __future__ import annotations

from collections import defaultdict

from workflow_src.configuration.folder import Lookup
from workflow_src.configuration.patterns import compile_pattern, fill
from workflow_src.configuration.phm_vibench import COLUMNS, PhmVibenchOptions
from workflow_src.data.report import DataReport
from workflow_src.data.sources.phm_vibench.table import Row, whole
from workflow_src.errors import UserError


def texts_of(rows: list[Row], options: PhmVibenchOptions) -> dict[str, dict[str, str]]:
    """For each Id what fields are made of: the row's cells, and the named parts of its File.

    Whole numbers of the table lose their ``.0``. Raises ``UserError`` for a File that does not
    match `files`.
    """
    patterns = [compile_pattern(pattern) for pattern in options.files or ()]
    texts = {}
    for row in rows:
        file = row.cells.get("File", "")
        matches = [match for pattern in patterns if (match := pattern.fullmatch(file))]
        if patterns and not matches:
            raise UserError(
                "The File of a row does not match the pattern of the rig.",
                where=f"metadata table, Id {row.id}",
                found=file,
                expected=f"files: {options.files}",
                remedy="mend `files:` under `phm_vibench:` of the rig",
            )
        cells = {name: row.cells.get(name, "") for name in COLUMNS}
        texts[row.id] = {name: _plain(cell) for name, cell in cells.items()}
        texts[row.id] |= matches[0].groupdict() if matches else {}
    return texts


def _plain(cell: str) -> str:
    value = whole(cell)
    return cell if value is None else str(value)


def fields_of(row: Row, texts: dict[str, str], options: PhmVibenchOptions) -> dict[str, str]:
    """The fields of a record by name; those that the rig does not give have their defaults.

    Raises ``UserError`` for a text that a lookup does not know, unless it would name the class of
    a record that has none.
    """
    domain = texts["Domain_description"] or f"domain {texts['Domain_id'] or 'unknown'}"
    made = {
        "unit_id": f"{texts['Dataset_id']}_label{texts['Label']}",
        "run_id": row.id,
        "condition": domain,
    }
    for name, rule in options.fields.items():
        if not isinstance(rule, Lookup):
            made[name] = fill(rule, texts)
        elif texts[rule.group] in rule.values:
            made[name] = rule.values[texts[rule.group]]
        elif name != "fault" or (row.label is not None and row.label >= 0):
            raise UserError(
                f"No value for {name}.",
                where=f"metadata table, Id {row.id}",
                found=f"{rule.group} = {texts[rule.group]!r}",
                expected=f"one of {', '.join(rule.values)}",
                remedy=f"add `{texts[rule.group]}: VALUE` to the values of `{name}:` under "
                "`fields:` of the rig",
            )
    return made


def compare_domains(rows: list[Row], report: DataReport) -> None:
    """Report each Domain_id under which conditions of several descriptions stand."""
    described: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in rows:
        key = (_plain(row.cells["Dataset_id"]), _plain(row.cells.get("Domain_id", "")))
        described[key].add(row.cells.get("Domain_description", ""))
    for (dataset, domain), texts in sorted(described.items()):
        if len(texts - {""}) > 1:
            what = f"Dataset_id {dataset}, Domain_id {domain or 'empty'}"
            done = "told apart by the description, unless the rig gives `condition`"
            report.add(
                "several conditions under one Domain_id", done, what, ", ".join(sorted(texts))
            )
