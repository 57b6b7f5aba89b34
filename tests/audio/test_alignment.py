"""Monotonic alignments against all alignments."""

import itertools

import pytest
import torch

from fmcore_audio.alignment import best_alignment, by_durations, log_likelihoods


def all_alignments(symbols, frames):
    """Yield the symbol of every frame, for each way to give each symbol at least one frame."""
    for cuts in itertools.combinations(range(1, frames), symbols - 1):
        ends = [*cuts, frames]
        yield [next(i for i, end in enumerate(ends) if j < end) for j in range(frames)]


@pytest.mark.parametrize(("symbols", "frames"), [(1, 4), (3, 3), (3, 7), (4, 8)])
def test_the_alignment_has_the_greatest_score_of_all(symbols, frames):
    scores = torch.randn(5, symbols, frames, generator=torch.Generator().manual_seed(symbols))
    found = best_alignment(scores, torch.full((5,), symbols), torch.full((5,), frames))
    for row in range(5):
        best = max(
            sum(float(scores[row, i, j]) for j, i in enumerate(path))
            for path in all_alignments(symbols, frames)
        )
        assert float((found[row] * scores[row]).sum()) == pytest.approx(best, rel=1e-5)
        assert found[row].sum(0).tolist() == [1] * frames


def test_padding_does_not_change_an_alignment():
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(1, 3, 7, generator=generator)
    padded = torch.randn(2, 6, 12, generator=generator)
    padded[0, :3, :7] = scores[0]
    alone = best_alignment(scores, torch.tensor([3]), torch.tensor([7]))
    found = best_alignment(padded, torch.tensor([3, 6]), torch.tensor([7, 12]))
    assert torch.equal(found[0, :3, :7], alone[0])
    assert float(found[0].sum()) == 7


def test_the_scores_are_gaussian_log_likelihoods():
    generator = torch.Generator().manual_seed(0)
    mu, x = (torch.randn(2, 5, n, generator=generator, dtype=torch.float64) for n in (3, 4))
    wanted = -0.5 * (mu[:, :, :, None] - x[:, :, None, :]).square().sum(1)
    torch.testing.assert_close(log_likelihoods(mu, x), wanted)


def test_durations_follow_one_another():
    found = by_durations(torch.tensor([[2.0, 1.0, 3.0, 0.0]]), 7)
    assert found.argmax(1).tolist() == [[0, 0, 1, 2, 2, 2, 0]]
    assert found.sum(1).tolist() == [[1, 1, 1, 1, 1, 1, 0]]


def test_boundaries_of_noisy_symbols_are_found():
    generator = torch.Generator().manual_seed(1)
    durations = torch.randint(3, 9, (4, 6), generator=generator).float()
    frames = int(durations.sum(1).max())
    mu = torch.randn(4, 20, 6, generator=generator)
    true = by_durations(durations, frames)
    x = mu @ true + 0.5 * torch.randn(4, 20, frames, generator=generator)
    found = best_alignment(log_likelihoods(mu, x), torch.full((4,), 6), durations.sum(1))
    boundaries = (found.sum(2).cumsum(1) - durations.cumsum(1)).abs()
    assert float(boundaries.median()) <= 1
