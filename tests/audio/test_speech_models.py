"""The networks of speech: the model suite, durations and losses in closed form."""

from functools import partial
from typing import ClassVar

import pytest
import torch

import fmcore
from fmcore import ComponentError, ConditionSpec, Objective
from fmcore.testing import ModelSuite
from fmcore.training.step import Step
from fmcore_audio.matcha import Matcha, masked_group_norm, rotated
from fmcore_audio.speech_small import SpeechSmall

SHAPE = (6, 16)
ENTRIES = {"text": ConditionSpec((5,), "int64"), "mask": ConditionSpec((1, 16))}


def small(**options):
    given = {"symbols": 4, "width": 16, "depth": 2, "text_width": 8, "text_depth": 1}
    return SpeechSmall(shape=SHAPE, entries=ENTRIES, **{**given, **options})


class SpokenSuite(ModelSuite):
    """A network of speech decides the length of a sample itself, so that padding is that of
    training."""

    shape = SHAPE
    entries: ClassVar = ENTRIES

    def condition(self, n):
        found = super().condition(n)
        # an odd number of places: a text of n symbols and its complement differ in length
        lengths = torch.arange(n) % 3 + 1
        found["text"] = (torch.arange(5) < lengths[:, None]).long()
        return found

    def test_padding_does_not_matter(self):
        """In training, row i is the same alone at its own length as padded in a batch."""
        model = self.component().eval()
        condition = self.condition(3)
        x = torch.randn(3, *SHAPE, generator=torch.Generator().manual_seed(0))
        mask = condition["mask"]
        prepared = model.prepare(condition, x)
        together = model(x * mask, torch.full((3,), 0.4), prepared.condition)
        for i in range(3):
            cut = int(mask[i].sum())
            own = {"text": condition["text"][i : i + 1], "mask": mask[i : i + 1, :, :cut]}
            row = x[i : i + 1, :, :cut]
            alone = model.prepare(own, row)
            result = model(row, torch.full((1,), 0.4), alone.condition)
            torch.testing.assert_close(result, together[i : i + 1, :, :cut], rtol=1e-5, atol=1e-5)
            assert not together[i, :, cut:].any()
            for name, loss in alone.losses.items():
                torch.testing.assert_close(loss, prepared.losses[name][i : i + 1])


class TestSpeechSmall(SpokenSuite):
    def component(self):
        return small()


class TestMatcha(SpokenSuite):
    def component(self):
        return Matcha(
            shape=SHAPE, entries=ENTRIES, symbols=4, text_width=8, layers=1, width=16, middle=1
        )


def test_the_statistics_of_group_normalisation_are_those_of_existing_frames():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 8, 10, generator=generator)
    mask = torch.ones(2, 1, 10)
    mask[0, :, 6:] = 0
    found = masked_group_norm(x, mask, 4)
    alone = torch.nn.functional.group_norm(x[:1, :, :6], 4)
    torch.testing.assert_close(found[:1, :, :6], alone)
    torch.testing.assert_close(found[1:], torch.nn.functional.group_norm(x[1:], 4))
    # torch's own, over padding, as in the released Matcha-TTS, gives something else
    padded = torch.nn.functional.group_norm(x * mask, 4)
    assert float((padded[:1, :, :6] - alone).abs().max()) > 0.1


def test_products_of_rotated_vectors_depend_on_the_distance():
    a, b = torch.randn(2, 1, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    one, other = rotated(a.expand(9, 8)), rotated(b.expand(9, 8))
    products = one @ other.T
    for distance in range(-3, 4):
        line = products.diagonal(distance)
        torch.testing.assert_close(line, line[:1].expand_as(line), rtol=1e-5, atol=1e-5)


@pytest.fixture
def timed():
    """A network whose symbols all last 3 frames, and have the mean 1 in every band."""
    model = small().eval().requires_grad_(False)
    model.durations.out.weight.zero_()
    model.durations.out.bias.fill_(torch.tensor(3.0).log())
    model.means.weight.zero_()
    model.means.bias.fill_(1.0)
    return model


TEXT = torch.tensor([[1, 2, 0, 0, 0], [3, 1, 2, 0, 0]])
WHOLE = torch.ones(2, 1, 16)


@pytest.mark.parametrize(("pace", "frames"), [(None, 3), (1.5, 2), (0.6, 5), (5.0, 1)])
def test_a_text_lasts_its_symbols_over_the_pace(timed, pace, frames):
    condition = {"text": TEXT, "mask": WHOLE}
    if pace is not None:
        condition["pace"] = torch.full((2,), pace)
    mask = timed.prepare(condition).condition["mask"]
    assert mask.sum((1, 2)).tolist() == [2 * frames, 3 * frames]


def test_samples_are_zero_after_the_text(timed):
    prepared = timed.prepare({"text": TEXT, "mask": WHOLE}).condition
    y = timed(torch.randn(2, *SHAPE), torch.zeros(2), prepared)
    assert not y[0, :, 6:].any()
    assert y[0, :, 5].any()


def test_a_text_that_takes_too_long_is_refused(timed):
    pace = torch.full((2,), 0.5)
    with pytest.raises(ComponentError, match=r"takes 18 frames.*have 16.*sentences"):
        timed.prepare({"text": TEXT, "mask": WHOLE, "pace": pace})


def test_the_losses_are_those_of_the_alignment(timed):
    x1 = torch.full((2, *SHAPE), 3.0)
    losses = timed.prepare({"text": TEXT, "mask": WHOLE}, x1).losses
    # |3 - 1|^2 / 2 + log(2 pi) / 2 everywhere
    wanted = 2 + 0.5 * torch.tensor(2 * torch.pi).log()
    torch.testing.assert_close(losses["prior"], wanted.expand(2))
    # every alignment is as good: the frames of each symbol are not known, but their number is
    assert bool((losses["duration"] >= 0).all())


def test_the_duration_loss_is_zero_at_the_durations(timed):
    timed.means.weight.zero_()
    text = torch.tensor([[1, 0, 0, 0, 0]])
    mask = (torch.arange(16) < 3).float().view(1, 1, 16)
    losses = timed.prepare({"text": text, "mask": mask}, torch.zeros(1, *SHAPE)).losses
    torch.testing.assert_close(losses["duration"], torch.zeros(1), atol=1e-6, rtol=0)


def test_training_cuts_a_segment_where_the_clip_is():
    model = small(segment=4)
    assert model.draws == {"segment": ()}
    mask = (torch.arange(16) < 9).float().expand(2, 1, 16)
    condition = {"text": TEXT, "mask": mask, "draw/segment": torch.tensor([0.0, 0.999])}
    prepared = model.prepare(condition, torch.randn(2, *SHAPE))
    start, length = prepared.crop
    assert (start.tolist(), length) == ([0, 5], 4)
    assert prepared.condition["mu"].shape == (2, 6, 4)


def test_padding_may_be_in_front_of_the_text():
    model = small().eval()
    front = torch.tensor([[0, 0, 1, 2, 0]])
    back = torch.tensor([[1, 2, 0, 0, 0]])
    one, other = (
        model.prepare({"text": text, "mask": WHOLE[:1]}).condition for text in (front, back)
    )
    torch.testing.assert_close(one["mu"], other["mu"])


def test_a_table_of_fewer_symbols_than_the_text_is_refused():
    with pytest.raises(ComponentError, match=r"model\.symbols to at least 10"):
        small().prepare({"text": torch.full((1, 5), 9), "mask": WHOLE[:1]})


def test_data_without_text_are_refused():
    with pytest.raises(ComponentError, match=r"needs spectrograms.*text and mask"):
        SpeechSmall(shape=(3, 8, 8), entries={})


def padded_texts():
    """Return the condition of three texts, of 16, 9 and 5 frames."""
    text = torch.tensor([[1, 2, 3, 0, 0], [2, 2, 0, 0, 0], [3, 0, 0, 0, 0]])
    mask = (torch.arange(16) < torch.tensor([[16], [9], [5]]))[:, None].float()
    return {"text": text, "mask": mask}


def flow_map(factory):
    """A network of two times, whose last layer is not zero."""
    torch.manual_seed(0)
    return factory(shape=SHAPE, entries=ENTRIES, symbols=4, width=16, text_width=8, span=True)


@pytest.mark.parametrize("factory", [SpeechSmall, partial(Matcha, layers=1, middle=1)])
def test_the_second_time_changes_the_output_of_a_flow_map_alone(factory):
    model = flow_map(factory).eval()
    x = torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(0))
    t, until = torch.tensor([0.2, 0.3]), torch.tensor([0.9, 0.3])
    with torch.no_grad():
        seen, apart = model(x, t), model(x, t, until=until)
    torch.testing.assert_close(apart[1], seen[1])
    assert float((apart[0] - seen[0]).abs().max()) > 1e-4
    plain = small()
    torch.testing.assert_close(plain(x, t, until=until), plain(x, t))
    assert not any(name.startswith("span") for name in plain.state_dict())


@pytest.mark.parametrize(
    "objective",
    [("mean_flow", {}), ("improved_mean_flow", {}), ("shortcut", {"target": "average"})],
)
@pytest.mark.parametrize("factory", [SpeechSmall, partial(Matcha, layers=1, middle=1)])
def test_a_flow_map_of_speech_trains_with_masks_and_the_networks_losses(factory, objective):
    name, options = objective
    model, path = flow_map(factory), fmcore.create("path", "ot")
    trained = fmcore.create("objective", name, **options)
    step = Step(model, trained, path, average=model.state_dict)
    condition = padded_texts()
    mask = condition["mask"]
    generator = torch.Generator().manual_seed(0)
    x0, x1 = torch.randn(2, 3, *SHAPE, generator=generator)
    draws = trained.draw(3, generator)

    def losses(hidden):
        """Return the losses where what the mask hides has these values."""
        outside = hidden * (1 - mask)
        return step(x0 * mask + outside, x1 * mask + outside, None, condition, draws)

    total, means = losses(0.0)
    assert step.loss_names[-2:] == ("duration", "prior")
    torch.testing.assert_close(losses(5.0)[1], means)
    total.backward()
    assert all(bool(p.grad.isfinite().all()) for p in model.parameters() if p.grad is not None)
    assert model.span_time[0].weight.grad.abs().sum() > 0
    assert model.encoder.embedding.weight.grad.abs().sum() > 0


class Asks(Objective):
    """Keeps the network as the objectives see it."""

    prediction = "velocity"
    loss_names = ("own",)
    net = None

    def draw(self, n, generator, part=(0, 1)):
        return {}

    def losses(self, net, path, batch):
        self.net = net
        return {"own": batch.x1.new_zeros(len(batch.x1))}


def test_the_average_is_evaluated_on_the_frames_and_the_segment_of_the_step():
    model, asks = small(segment=8), Asks()
    step = Step(model, asks, fmcore.create("path", "ot"), average=model.state_dict)
    condition = {**padded_texts(), "draw/segment": torch.tensor([0.9, 0.5, 0.2])}
    generator = torch.Generator().manual_seed(0)
    x0, x1 = torch.randn(2, 3, *SHAPE, generator=generator)
    step(x0, x1, None, condition, {})
    x, t = torch.randn(3, 6, 8, generator=generator), torch.full((3,), 0.5)
    with torch.no_grad():
        wanted, found = asks.net(x, t), asks.net.averaged()(x, t)
    # weights as in the network: another alignment, or another segment, would change the result
    torch.testing.assert_close(found, wanted)
