"""Who, when and where: unit, run and condition of a record, from its File and the table."""

from __future__ import annotations

from collections import defaultdict

from workflow_src.configuration.folder import Lookup
from workflow_src.configuration.patterns import compile_pattern
from workflow_src.configuration.phm_vibench import COLUMNS, PhmVibenchOptions
from workflow_src.data.report import DataReport
from workflow_src.data.sources.folder.table import field_text
from workflow_src.data.sources.phm_vibench.table import MetadataRow, whole
from workflow_src.errors import UserError


def texts_of(rows: list[MetadataRow], options: PhmVibenchOptions) -> dict[str, dict[str, str]]:
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


def fields_of(
    row: MetadataRow, texts: dict[str, str], options: PhmVibenchOptions
) -> dict[str, str]:
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
    has_class = row.label is not None and row.label >= 0
    for name, rule in options.fields.items():
        is_known = not isinstance(rule, Lookup) or texts[rule.group] in rule.values
        if is_known or name != "fault" or has_class:
            made[name] = field_text(name, rule, texts, f"metadata table, Id {row.id}")
    return made


def compare_domains(rows: list[MetadataRow], report: DataReport) -> None:
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
