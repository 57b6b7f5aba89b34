"""The training curve holds exactly the steps up to the checkpoint, and reports damage."""

from fmcore.runs.metrics_log import Curve


def test_rewinding_removes_the_steps_after_a_checkpoint(tmp_path):
    curve = Curve(tmp_path / "metrics.jsonl")
    for step in (10, 20, 30):
        curve.append({"step": step, "loss": 1.0})
    curve.rewind(20)
    assert [line["step"] for line in curve.lines()] == [10, 20]


def test_a_last_line_cut_off_by_a_crash_is_left_out_silently(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 10}\n{"step": 2')
    warnings = []
    assert Curve(path, warn=warnings.append).lines() == [{"step": 10}]
    assert warnings == []


def test_a_flipped_bit_costs_its_line_and_is_reported(tmp_path):
    warnings = []
    curve = Curve(tmp_path / "metrics.jsonl", warn=warnings.append)
    for step in (1, 2, 3):
        curve.append({"step": step, "loss": 0.25 * step})
    assert curve.lines() == [{"step": s, "loss": 0.25 * s} for s in (1, 2, 3)]
    text = curve.path.read_text()
    curve.path.write_text(text.replace("0.5", "0.7"))
    assert [line["step"] for line in curve.lines()] == [1, 3]
    assert warnings == [f"warning: {curve.path}: 1 corrupt lines are left out"]
