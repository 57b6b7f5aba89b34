"""The training curve holds exactly the steps that were taken."""

from fmcore.runs.metrics_log import Curve


def test_rewinding_drops_the_steps_that_will_be_taken_again(tmp_path):
    curve = Curve(tmp_path / "metrics.jsonl")
    for step in (10, 20, 30):
        curve.append({"step": step, "loss": 1.0})
    curve.rewind(20)
    assert [line["step"] for line in curve.lines()] == [10, 20]


def test_a_line_torn_by_a_crash_is_left_out(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 10}\n{"step": 2')
    assert Curve(path).lines() == [{"step": 10}]
