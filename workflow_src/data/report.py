"""What a rig's source says and its recordings do not bear out: counted, listed, written down."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from workflow_src.files import write_text

REPORT = "data-report.md"
_TOLD = 3  # of a kind, in one line


@dataclass
class DataReport:
    """Disagreements by kind, in the order in which the kinds were first met."""

    kinds: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    done: dict[str, str] = field(default_factory=dict)

    def add(self, kind: str, done: str, what: str, detail: str = "") -> None:
        """One disagreement.

        ``kind`` says what disagrees, ``done`` what became of it, both the same for all of a kind;
        ``what`` names the record or the run, ``detail`` says what was found there.
        """
        self.kinds.setdefault(kind, []).append((what, detail))
        self.done[kind] = done

    def clear(self) -> None:
        """Forget all."""
        self.kinds.clear()
        self.done.clear()

    @property
    def lines(self) -> list[str]:
        """One line a kind: its count and what became of it."""
        return [f"{len(of)} x {kind}: {self.done[kind]}" for kind, of in self.kinds.items()]

    @property
    def told(self) -> list[str]:
        """The lines, each with the first that it counts."""
        return [
            f"{line} ({_first(of)})"
            for line, of in zip(self.lines, self.kinds.values(), strict=True)
        ]

    def text(self, rig: str, recordings: int, notes: Iterable[str] = ()) -> str:
        """The report as Markdown: a table of counts, the notes, then each disagreement."""
        parts = [f"# Data report of `{rig}`", f"{recordings} recordings."]
        if self.kinds:
            rows = [f"| {k} | {len(of)} | {self.done[k]} |" for k, of in self.kinds.items()]
            head = ["| disagreement | count | what became of it |", "|---|---|---|"]
            parts.append("\n".join(head + rows))
        else:
            parts.append("No disagreement.")
        known = (*self.lines, *self.told)  # those are in the table
        more = [f"- {note}" for note in notes if note not in known]
        parts += ["\n".join(["Notes:", "", *more])] if more else []
        for kind, of in self.kinds.items():
            listed = "\n".join(f"- {_one(*one)}" for one in of)
            parts.append(f"## {kind} ({len(of)})\n\n{listed}")
        return "\n\n".join(parts) + "\n"

    def write(self, folder: Path, rig: str, recordings: int, notes: Iterable[str] = ()) -> None:
        """Write ``data-report.md``, whole or not at all."""
        write_text(folder / REPORT, self.text(rig, recordings, notes))


def _one(what: str, detail: str) -> str:
    return f"{what}: {detail}" if detail else what


def _first(of: Sequence[tuple[str, str]]) -> str:
    return "; ".join([*(_one(*one) for one in of[:_TOLD]), *(["..."] if len(of) > _TOLD else [])])
