"""The CSV under a figure has the numbers that are drawn."""

import io

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from lnqbook.figures import plots
from lnqbook.figures.drawn import csv, drawn, record
from lnqlib.spec import RunSpec

LOSS = {("none", 0.1): [1.0, 3.0], ("none", 0.01): [5.0, 7.0], ("layer", 0.1): [0.5, 0.5]}


def runs() -> pd.DataFrame:
    rows = [
        vars(RunSpec("Pendulum", norm=norm, lr=lr, seed=seed))
        | {"loss": loss, "sgi": -loss, "clamped_steps": 3 * (loss == 7.0)}
        for (norm, lr), losses in LOSS.items()
        for seed, loss in enumerate(losses)
    ]
    return pd.DataFrame(rows)


def test_means_against_the_learning_rate():
    table = pd.read_csv(io.StringIO(csv(plots.metric_by_lr(runs(), ["loss"]))))
    assert set(table["env"]) == {"Pendulum"} and set(table["quantity"]) == {"loss"}
    found = table.set_index(["norm", "lr"])["value"].to_dict()
    assert found == {key: np.mean(losses) for key, losses in LOSS.items()}
    assert table.set_index(["norm", "lr"])["clamped"].to_dict() == {
        key: 7.0 in losses for key, losses in LOSS.items()
    }


def test_each_point_of_a_scatter_has_its_learning_rate():
    table = drawn(plots.scatter_vs(runs(), ["sgi"], "loss"))
    assert (table["value"] == -table["y_value"]).all()
    assert set(zip(table["norm"], table["lr"], strict=True)) == set(LOSS)


def test_the_drawn_line_is_in_the_table():
    figure = plots.metric_by_lr(runs(), ["loss"])
    table = drawn(figure).query("norm == 'none'").sort_values("lr")
    lines = [line.get_xydata() for line in figure.axes[0].lines]
    assert any(np.array_equal(line, table[["lr", "value"]]) for line in lines)


def test_parts_lie_below_one_another_and_a_sketch_has_none():
    figure = plt.figure()
    assert csv(figure) is None
    record(figure, pd.DataFrame({"a": [1]}))
    record(figure, pd.DataFrame({"b": [2.0]}))
    assert csv(figure) == "a,b\n1,\n,2\n"
    plt.close(figure)
