"""Drawings of tests: what stands in the tables is where it should be."""

from pathlib import Path

import numpy as np
from ichflow import agreement, figures_statistics, samples, statistics
from ichflow.intervals import Bootstrap
from madeup import make_metrics
from matplotlib.colors import to_hex

METRICS = make_metrics()
PART = samples.part_of_test(METRICS)
MODELS = PART.models


def test_every_patient_is_a_point_between_the_limits_of_the_table(tmp_path: Path) -> None:
    table = agreement.table(PART)
    figure = figures_statistics.bland_altman(METRICS, table, tmp_path / "a.png", models=MODELS)
    for axes, model in zip(figure.axes, MODELS, strict=True):
        predicted, true = agreement.volumes(PART.patients[model])
        points = next(line for line in axes.lines if line.get_linestyle() == "None")
        assert np.allclose(points.get_ydata(), predicted - true)
        assert np.allclose(points.get_xdata(), (predicted + true) / 2)
        known = table[table["model"] == model].set_index("quantity")["value"]
        drawn = {line.get_ydata()[0] for line in axes.lines if line.get_linestyle() in ("-", "--")}
        assert drawn == {0.0, *known[["bias_ml", "limit_low_ml", "limit_high_ml"]]}


def test_differences_are_filled_where_they_are_shown(tmp_path: Path) -> None:
    tests = statistics.tests_table(PART, bootstrap=Bootstrap(resamples=100))
    figure = figures_statistics.differences(tests, tmp_path / "d.png")
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [
        "unet-small − null",
        "unet-small − threshold",
    ]
    for axes, name in zip(figure.axes, figures_statistics.PANELS, strict=True):
        rows = tests[tests["comparison"].str.startswith(f"{name},")].to_dict("records")
        points = [line for line in axes.lines if line.get_marker() == "o"]
        made = [row for row in rows if not row["reason"]]
        assert [point.get_xdata()[0] for point in points] == [row["difference"] for row in made]
        filled = [to_hex(point.get_markerfacecolor()) != "#ffffff" for point in points]
        assert filled == [row["p_holm"] < 0.05 for row in made]
        assert sum("no test" in text.get_text() for text in axes.texts) == len(rows) - len(made)


def test_nothing_to_draw_is_said(tmp_path: Path) -> None:
    nobody = METRICS.assign(part="train")
    part = samples.part_of_test(nobody)
    figure = figures_statistics.bland_altman(nobody, agreement.table(part), tmp_path / "a.png", models=MODELS)
    assert "No test patient with hemorrhage" in figure.texts[0].get_text()
    figure = figures_statistics.differences(statistics.tests_table(part).iloc[:0], tmp_path / "d.png")
    assert "No model" in figure.texts[0].get_text()
