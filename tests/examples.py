"""How many examples a property is tried on: all of them, or a tenth in the profile `fast`."""

from __future__ import annotations

from typing import Any

from hypothesis import Phase, settings

LEAST = 3


def register_profiles() -> None:
    """`fast` by default; `pytest --hypothesis-profile full` tries every example.

    `fast-unshrunk` and `full-unshrunk` look for no smaller example of a failure.
    """
    settings.register_profile("full", settings.default, max_examples=100, deadline=None)
    settings.register_profile("fast", settings.get_profile("full"), max_examples=10)
    for name in ("fast", "full"):
        parent, phases = settings.get_profile(name), (Phase.explicit, Phase.generate)
        settings.register_profile(f"{name}-unshrunk", parent, phases=phases)
    settings.load_profile("fast")


def examples(full: int, **others: Any) -> settings:
    """The settings of a test that tries `full` examples in the profile `full`."""
    count = full * settings.default.max_examples // 100
    return settings(max_examples=max(min(LEAST, full), count), **others)
