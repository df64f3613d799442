"""Which specimens a split takes: names that a parser or a comparison may take for others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from .array_mutants import keys_for
from .draw import Draw
from .verdict import Case, Held, Reading, Verdict

# Names that YAML, or a comparison of numbers, takes for one another.
ALIKE = (
    ("010", "8", "10"),
    ("007", "7", "07"),
    ("1.10", "1.1"),
    ("01", "1", "1e0"),
    ("1_1", "11"),
    ("no", "False", "false"),
    ("12:30", "750"),
    ("0x1F", "31"),
    ("1e3", "1000", "1000.0"),
    ("2024-05-01", "2024-5-1"),
    ("nan", "NaN", "null"),
    ("1.0", "1"),
    ("0b11", "3"),
    ("inf", "+inf"),
)


def _rig(draw: Draw, root: Path) -> tuple[list[str], dict[str, Held]]:
    """Recordings of a group of names that are alike and of some that are not."""
    units = [*draw.choice(ALIKE), "b1", "b2", "b3"]
    held = {}
    (root / "data_root/rig").mkdir(parents=True)
    for unit in units:
        signal = draw.signal(600, 1).astype("f4")
        np.save(root / f"data_root/rig/{unit}-1.npy", signal)
        held[unit] = Held(signal, 10000.0, labels={"unit_id": unit})
    return units, held


def _case(held: dict[str, Held], typed: list[str], text: str, *, refusable: bool) -> Case:
    reading = Reading({f"{unit}-1.npy": held[unit] for unit in typed})
    about = f"units {', '.join(held)} and `test: {text}`"
    return Case(
        keys_for(".npy"),
        (reading,),
        refusable=refusable,
        names=("selected|test|unit_id",),
        otherwise=Verdict.WRONG,
        about=about,
        test=text,
    )


def quoted(draw: Draw, root: Path) -> Case:
    """Names in quotes are these specimens and no others."""
    units, held = _rig(draw, root)
    typed = draw.sample(units[:-3], draw.randint(1, len(units) - 3)) + units[-1:]
    text = "{unit_id: [" + ", ".join(f'"{unit}"' for unit in typed) + "]}"
    return _case(held, typed, text, refusable=False)


def unquoted(draw: Draw, root: Path) -> Case:
    """Names without quotes are these specimens, or refused."""
    units, held = _rig(draw, root)
    typed = [draw.choice(units[:-3]), units[-1]]
    return _case(held, typed, f"{{unit_id: [{', '.join(typed)}]}}", refusable=True)


def absent(draw: Draw, root: Path) -> Case:
    """A name that no specimen bears; one that is alike is another."""
    units, held = _rig(draw, root)
    alike = units[:-3]
    gone = draw.choice(alike)
    held.pop(gone)
    (root / f"data_root/rig/{gone}-1.npy").unlink()
    mark = draw.one('"', "")
    text = f"{{unit_id: [{mark}{gone}{mark}, b3]}}"
    case = _case(held, ["b3"], text, refusable=True)
    if _one_number(gone, [unit for unit in alike if unit != gone]):
        return Case(**{**vars(case), "readings": _numbers(held, gone)})
    return Case(**{**vars(case), "readings": ()})


def _one_number(name: str, others: list[str]) -> bool:
    """Whether just one of the others is the number that a name is, as a decimal."""
    return len([other for other in others if _decimal(other) == _decimal(name) is not None]) == 1


def _numbers(held: dict[str, Held], name: str) -> tuple[Reading, ...]:
    same = [unit for unit in held if unit == "b3" or _decimal(unit) == _decimal(name)]
    return (Reading({f"{unit}-1.npy": held[unit] for unit in same}),)


def _decimal(text: str) -> float | None:
    plain = text.replace(".", "", 1).replace("e", "", 1)
    return float(text) if plain.isdecimal() and text[0] != "e" else None


KINDS: dict[str, Callable[[Draw, Path], Case]] = {
    "units in quotes": quoted,
    "units without quotes": unquoted,
    "unit that is not there": absent,
}
