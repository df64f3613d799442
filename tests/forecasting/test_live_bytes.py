"""Bytes of tensors that are alive: real ones against torch's own allocator."""

from __future__ import annotations

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from workflow_src.forecasting.live_bytes import LiveBytes, Phase


def test_a_storage_counts_from_its_making_to_its_end() -> None:
    with LiveBytes() as live:
        first = torch.zeros(1000)
        second = first + 1
        assert live.now == 8000
        view = second[:10]
        del second
        assert live.now == 8000  # the view holds it
        del view, first
        assert live.now == 0
    assert live.peak == 8000
    assert live.largest == 4000
    assert sorted(live.changes) == sorted([(0, 4000), (1, 4000), (1, -4000), (0, -4000)])


def test_in_place_and_views_take_nothing() -> None:
    with LiveBytes() as live:
        first = torch.zeros(10, 10)
        first.add_(1).view(100).mul_(2)
        assert live.peak == 400


def test_what_was_there_before_counts_once_it_is_held() -> None:
    weight = torch.zeros(100)
    with LiveBytes() as live:
        weight.mul_(2)
        held = live.now
        live.hold([weight, weight[:3]])
        assert live.now == 400
    assert held in (0, 400)


def test_a_phase_has_the_peak_that_is_reached_in_it() -> None:
    with LiveBytes() as live:
        live.mark("forward", "trunk")
        kept = torch.zeros(100)
        del_later = torch.zeros(50)
        live.mark("backward", None)
        del del_later
        kept = kept * 2
    assert live.peaks == {Phase("forward", "trunk"): 600, Phase("backward", None): 800}


def test_fake_tensors_count_as_real_ones() -> None:
    def work() -> None:
        weight = torch.zeros(20, 30, requires_grad=True)
        (torch.zeros(5, 20) @ weight).relu().square().sum().backward()

    with LiveBytes() as real:
        work()
    with FakeTensorMode(), LiveBytes() as fake:
        work()
    assert fake.peak == real.peak
    assert [size for _, size in fake.changes] == [size for _, size in real.changes]


def test_what_an_operator_takes_within_itself_is_added_where_it_runs() -> None:
    def within(operator: object, arguments: object) -> int:
        return 10_000 if operator is torch.ops.aten.mm.default else 0

    with LiveBytes(within) as live:
        torch.zeros(5, 5) @ torch.zeros(5, 5)
        assert live.now == 0
    assert live.peak == 300 + 10_000
