"""The tables that a study is asked to write; every name in them is known."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Literal, NamedTuple

from workflow_src.cells import rotation_of
from workflow_src.configuration.study_table import DEFAULT, StudyTable
from workflow_src.configuration.validation_errors import as_yaml
from workflow_src.errors import UserError

STATISTICS = "statistics"
COST_TABLES = ("cost", "cost_rules")
Entries = Sequence[StudyTable | Literal["default"]]
Keys = Mapping[str, str | Sequence[str]]  # of one table


@dataclass(frozen=True)
class AskedTable:
    """A file of tables.

    ``datasets`` may be named without their rotations. Empty ``metrics`` stand for the default ones
    of the task. An empty ``caption`` or ``label`` is derived from the other fields.
    """

    name: str
    task: str
    datasets: tuple[str, ...]
    models: tuple[str, ...]
    metrics: tuple[str, ...] = ()
    caption: str = ""
    label: str = ""

    @property
    def tex_label(self) -> str:
        """The LaTeX label of the first table in the file."""
        return self.label or tex_label(self.name)


def tex_label(name: str) -> str:
    """The default label of a file of tables."""
    return f"tab:{name.replace('_', '-')}"


class Known(NamedTuple):
    """What a table may name: the tasks, models, and datasets (with their origin) of the cells."""

    tasks: Sequence[str]
    models: Sequence[str]
    origins: Mapping[str, str]

    def datasets(self) -> list[str]:
        """All names of the datasets, with and without their rotation."""
        bases = [rotation_of(name)[0] for name in self.origins]
        return list(dict.fromkeys([*bases, *self.origins]))

    def origin(self, dataset: str) -> str:
        """The origin of a dataset, named with or without its rotation."""
        return next(
            origin
            for name, origin in self.origins.items()
            if dataset in (name, rotation_of(name)[0])
        )


def asked_tables(
    entries: Entries, default: Sequence[AskedTable], known: Known
) -> tuple[AskedTable, ...]:
    """The tables in `entries`, with `default` in place of the word; none for the word alone.

    Raises UserError, with YAML that works, for a name that is not `known`, for simulated rigs
    beside real ones, and for two tables with the same name.
    """
    if list(entries) == [DEFAULT]:
        return ()
    own = {
        i: _asked(entries, i, entry, known)
        for i, entry in enumerate(entries)
        if isinstance(entry, StudyTable)
    }
    _require_own_names(entries, default, own)
    return tuple(
        table for i in range(len(entries)) for table in ([own[i]] if i in own else default)
    )


def _asked(entries: Entries, i: int, entry: StudyTable, known: Known) -> AskedTable:
    _require_known(entries, i, "task", [entry.task], known.tasks)
    _require_known(entries, i, "datasets", entry.datasets, known.datasets())
    _require_known(entries, i, "models", entry.models, known.models)
    if entry.metrics:  # what knows them takes a second to import, in each job
        from workflow_src.tasks.registry import task_of

        metrics = [metric.name for metric in task_of(entry.task).metrics]
        _require_known(entries, i, "metrics", entry.metrics, metrics)
    bases = dict.fromkeys(rotation_of(name)[0] for name in known.origins)
    datasets = tuple(entry.datasets or bases)
    _require_one_origin(entries, i, entry, {name: known.origin(name) for name in datasets})
    return AskedTable(
        name=entry.name,
        task=entry.task,
        datasets=datasets,
        models=tuple(entry.models or known.models),
        metrics=tuple(entry.metrics),
        caption=" ".join(entry.caption.split()),
        label=entry.label,
    )


# ------------------------------------------------------------------------------- what is refused


def _require_known(
    entries: Entries, i: int, key: str, names: Sequence[str], known: Sequence[str]
) -> None:
    for name in names:
        if name in known:
            continue
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
        kept = list(dict.fromkeys(n for one in names for n in (near if one == name else [one])))
        mended = (near or known)[0] if key == "task" else kept or [known[0]]
        raise UserError(
            f"There is no {key.removesuffix('s')} `{name}` for a table of this run"
            + (f"; the nearest is `{near[0]}`." if near else "."),
            where=_place(i, key),
            found=", ".join(names),
            expected="one of " + ", ".join(known),
            remedy=_with(entries, i, [{key: mended}]),
        )


def _require_one_origin(
    entries: Entries, i: int, entry: StudyTable, origins: Mapping[str, str]
) -> None:
    """Refuse simulated rigs beside real ones: their scores say nothing about machines."""
    of = {o: [n for n, its in origins.items() if its == o] for o in ("real", "simulated")}
    if not all(of.values()):
        return
    label = {"label": f"{entry.label}-simulated"} if entry.label else {}
    apart = {"name": f"{entry.name}_simulated", "datasets": of["simulated"], **label}
    raise UserError(
        f"The table `{entry.name}` has simulated rigs beside real ones.",
        where=_place(i, "datasets"),
        found="; ".join(f"{origin}: {', '.join(names)}" for origin, names in of.items()),
        expected="datasets of one origin",
        remedy=_with(entries, i, [{"datasets": of["real"]}, apart]),
    )


def _require_own_names(
    entries: Entries, default: Sequence[AskedTable], own: Mapping[int, AskedTable]
) -> None:
    """Refuse two tables with the same name (one file) or the same label (one reference)."""
    if entries.count(DEFAULT) > 1:
        once = [e for i, e in enumerate(entries) if e != DEFAULT or i == entries.index(DEFAULT)]
        raise UserError(
            "`tables` names `default` twice.", remedy=as_yaml(("tables",), _plain(once))
        )
    there = default if DEFAULT in entries else ()
    names = [STATISTICS, f"{STATISTICS}_simulated", *COST_TABLES]
    names += [table.name for table in there]
    taken = {"name": names, "label": [tex_label(name) for name in names]}
    for i, table in own.items():
        for key, value in (("name", table.name), ("label", table.tex_label)):
            if value in taken[key]:
                free = next(w for n in count(2) if (w := f"{value}-{n}") not in taken[key])
                raise UserError(
                    f"Two tables have the {key} `{value}`.",
                    where=_place(i, key),
                    found=value,
                    expected="none of " + ", ".join(taken[key]),
                    remedy=_with(entries, i, [{key: free}]),
                )
            taken[key].append(value)


def _place(i: int, key: str) -> str:
    return f"`tables[{i}].{key}` of the run"


def _plain(entries: Entries) -> list[str | Keys]:
    return [e if isinstance(e, str) else e.model_dump(exclude_unset=True) for e in entries]


def _with(entries: Entries, i: int, changes: Sequence[Keys]) -> str:
    """`tables:` as YAML, entry `i` replaced by one entry per item of `changes`."""
    entry, written = entries[i], _plain(entries)
    own = entry.model_dump(exclude_unset=True) if isinstance(entry, StudyTable) else {}
    written[i : i + 1] = [{**own, **change} for change in changes]
    return as_yaml(("tables",), written)
