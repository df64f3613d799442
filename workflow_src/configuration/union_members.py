"""The rigs that a union of rigs is made of, and what a union may not be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from workflow_src.configuration.lines import shown
from workflow_src.configuration.schema import Dataset, Rig
from workflow_src.configuration.validation_errors import as_yaml
from workflow_src.errors import UserError


def with_members(rigs: Mapping[str, Rig], read: Callable[[str], Rig]) -> dict[str, Rig]:
    """`rigs` and those that their unions name, each once; `read` gives a rig by its name."""
    found = dict(rigs)
    for rig in rigs.values():
        for name in rig.options.member_rigs():
            if name not in found:
                found[name] = read(name)
    return found


def require_sound_unions(
    rigs: Mapping[str, Rig], datasets: Mapping[str, Dataset], folder: Path
) -> None:
    """Raise UserError for a union that could not be trusted, with the YAML that mends it.

    `rigs` holds the parts too, `folder` is config/. The parts are no unions, all simulated or all
    real, and comparable in amplitude if the union claims to be. Across rigs an absolute amplitude
    is the gain of a sensor, so that a dataset of a union offers none or the relative one.
    """
    for name, rig in rigs.items():
        if members := rig.options.member_rigs():
            _require_sound_parts(name, rig, {part: rigs[part] for part in members}, folder)
    for name, dataset in datasets.items():
        if rigs[dataset.rig].options.member_rigs() and dataset.amplitude == "absolute":
            file = folder / "datasets" / f"{name.partition('.fold')[0]}.yaml"
            raise UserError(
                f"The dataset `{name}` offers the absolute amplitude across rigs, where it tells "
                "one sensor from another.",
                where=f"{shown(file)}, key `amplitude`",
                found=f"amplitude: absolute (the default), rig `{dataset.rig}` is a union",
                expected="none, or relative (to the first snapshots of each unit)",
                remedy=as_yaml(("amplitude",), "none"),
            )


def _require_sound_parts(name: str, rig: Rig, parts: Mapping[str, Rig], folder: Path) -> None:
    where = f"{shown(folder / 'rigs' / f'{name}.yaml')}, key "
    for part, inner in parts.items():
        if inner.options.member_rigs():
            flat = [r for r in parts if r != part]
            flat += [r for r in inner.options.member_rigs() if r not in flat]
            raise UserError(
                f"The union `{name}` names the union `{part}`.",
                where=f"{where}`union.rigs`",
                expected="rigs that have recordings of their own",
                remedy=as_yaml(("union", "rigs"), flat),
            )
    simulated = [part for part, inner in parts.items() if inner.options.SIMULATED]
    if 0 < len(simulated) < len(parts):
        real = [part for part in parts if part not in simulated]
        raise UserError(
            f"The union `{name}` mixes simulated and real rigs, which no table does.",
            where=f"{where}`union.rigs`",
            found=f"simulated: {', '.join(simulated)}; real: {', '.join(real)}",
            remedy=as_yaml(("union", "rigs"), max(real, simulated, key=len)),
        )
    unlike = [part for part, inner in parts.items() if not inner.amplitude_comparable]
    if rig.amplitude_comparable and unlike:
        raise UserError(
            f"The amplitude of `{name}` is said to be comparable, and that of a part is not.",
            where=f"{where}`amplitude_comparable`",
            found=f"amplitude_comparable: false in {', '.join(unlike)}",
            remedy=as_yaml(("amplitude_comparable",), False),
        )
