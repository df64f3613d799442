"""Draws keyed by sample: repeatable, apart, uniform."""

from __future__ import annotations

import torch

from workflow_src.models.draws import KeyedDropout, random_bits, random_integers


def test_draws_belong_to_the_sample_not_to_the_batch() -> None:
    keys = torch.randint(2**62, (16,))
    whole = random_bits(keys, 3, 50)
    parts = torch.cat([random_bits(part, 3, 50) for part in keys.split([1, 5, 10])])
    assert torch.equal(whole, parts)


def test_draws_differ_between_keys_salts_and_positions() -> None:
    keys = torch.cat([torch.arange(64), torch.arange(64) << 32, torch.arange(64) << 20])[1:]
    keys = keys.unique()
    drawn = torch.cat([random_bits(keys, salt, 8) for salt in range(4)])
    assert drawn.unique().numel() >= drawn.numel() - 2  # a chance collision in 2**32


def test_draws_are_uniform_and_uncorrelated_between_neighbours() -> None:
    unit = random_bits(torch.arange(500), 0, 500).double() / 2**32
    counts = torch.histc(unit, bins=20, min=0.0, max=1.0)
    expected = unit.numel() / 20
    assert ((counts - expected) ** 2 / expected).sum() < 60  # chi-square, 19 degrees of freedom
    centred = unit - 0.5
    for product in (centred[:, 1:] * centred[:, :-1], centred[1:] * centred[:-1]):
        assert abs(product.mean()) < 5 / (12 * product.numel() ** 0.5)  # five standard errors


def test_integers_reach_all_values_and_no_more() -> None:
    drawn = random_integers(torch.arange(100), 1, 100, 7)
    assert drawn.unique().tolist() == list(range(7))


def test_dropout_keeps_the_mean_in_training_and_does_nothing_in_evaluation() -> None:
    dropout, ones = KeyedDropout(0.3, 1), torch.ones(50, 40, 50)
    dropped = dropout(ones, torch.arange(50))
    assert abs((dropped == 0).double().mean() - 0.3) < 0.01
    assert abs(dropped.mean() - 1.0) < 0.02
    assert torch.equal(dropout.eval()(ones, None), ones)
