"""What shows the engine at work: the picture of a graph, the profiler, and the old spellings."""

import numpy as np

import tinytorch as tt
from tinytorch.core import autograd


def test_the_picture_has_a_box_for_each_operation_and_leaf_and_a_line_for_each_use():
    x, w = tt.Tensor([1.0, 2.0], requires_grad=True), tt.Tensor([0.5], requires_grad=True)
    picture = autograd.draw_graph((x * w).sum())
    assert (picture.count("<rect"), picture.count("<line"), picture._repr_svg_()) == (4, 3, picture)


def test_the_profiler_runs_what_it_reports():
    report = autograd.AutogradSystemsProfiler().profile_computational_graph_depth(max_depth=2, operations_per_level=2)
    assert [row["operations"] for row in report["depths"]] == [4, 8]
    assert report["memory_scaling_factor"] > 0 < report["efficiency_metrics"]["avg_backward_forward_ratio"]


def test_checkpoints_take_less_memory():
    none, every4 = autograd.AutogradSystemsProfiler().analyze_memory_checkpointing_trade_offs((4,), depth=16, size=10_000)
    assert (none["frequency"], every4["frequency"]) == (None, 4)
    assert every4["memory_bytes"] < none["memory_bytes"]


def test_old_spellings():
    x = autograd.Variable([1.0])
    assert type(x) is tt.Tensor and x.requires_grad and not autograd.Variable([1.0], requires_grad=False).requires_grad
    np.testing.assert_array_equal(autograd.to_numpy(x), np.ones(1, np.float32))
    assert autograd.enable_autograd() is None
