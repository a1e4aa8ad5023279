"""Figures: their marks, that they stand upright, and the same bytes for the same input."""

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ichflow import figures
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle

SIZE = 32


def view(**changes: Any) -> figures.SliceView:
    """Make a slice with a bright nose at the top, a bleed on the patient's right and a prediction beside it."""
    image = np.full((SIZE, SIZE), -1000, dtype=np.int16)
    image[4:28, 6:26] = 35
    image[0:4, 15:17] = 100
    mask = np.zeros((SIZE, SIZE), dtype=np.uint8)
    mask[12:16, 8:12] = 1
    default: dict[str, Any] = {
        "patient": "049",
        "number": 7,
        "image": image,
        "mask": mask,
        "prediction": np.roll(mask, 2, 1),
    }
    return figures.SliceView(**(default | changes))


def history(folds: int = 1) -> pd.DataFrame:
    epochs = np.arange(1, 6)
    runs = [
        pd.DataFrame(
            {
                "model": "unet-small",
                "fold": fold,
                "epoch": epochs,
                "loss": 1 / epochs,
                "val_loss": [0.9, 0.5, 0.3, 0.4, 0.6],
                "dice": 1 - 1 / epochs,
                "val_dice": [0.1, 0.3, 0.4, 0.7, 0.6],
                "learning_rate": 1e-3,
                "kept": epochs == 3 + fold,
            }
        )
        for fold in range(folds)
    ]
    return pd.concat(runs, ignore_index=True)


def metrics() -> pd.DataFrame:
    rows = [
        {"patient": f"{p:03d}", "model": model, "part": part, "level": "patient", "has_hemorrhage": p < 4, "dice": dice}
        for p, part in enumerate(["test", "test", "test", "train", "test"])
        for model, dice in (("null", 0.0), ("unet-small", 0.5 + p / 10))
    ]
    return pd.DataFrame(rows)


def calibration() -> pd.DataFrame:
    columns = ["model", "pixels", "probability", "share", "share_low", "share_high"]
    rows = [
        ("null", 100, 0.0, 0.01, 0.0, 0.02),
        ("unet-small", 90, 0.05, 0.0, np.nan, np.nan),
        ("unet-small", 0, np.nan, np.nan, np.nan, np.nan),
        ("unet-small", 10, 0.93, 0.7, 0.5, 0.9),
    ]
    return pd.DataFrame(rows, columns=columns)


def layers() -> list[dict[str, Any]]:
    kinds = [
        ("input", 3, 0),
        ("convolution", 8, 0),
        ("downsample", 8, 1),
        ("convolution", 16, 1),
        ("dropout", 16, 1),
        ("upsample", 8, 0),
        ("concatenate", 16, 0),
        ("convolution", 8, 0),
        ("output", 1, 0),
    ]
    return [
        {
            "name": f"layer_{i}",
            "kind": kind,
            "channels": channels,
            "level": level,
            "height": 64 >> level,
            "width": 64 >> level,
        }
        for i, (kind, channels, level) in enumerate(kinds)
    ]


EDGES = [
    ("phantom", "verify_patient"),
    ("verify_patient", "slice_patient"),
    ("verify_patient", "inventory"),
    ("slice_patient", "split"),
    ("inventory", "split"),
    ("split", "train"),
    ("slice_patient", "train"),
    ("train", "report"),
    ("inventory", "report"),
    ("slice_patient", "sample_slices_of_patients"),
    ("sample_slices_of_patients", "report"),
    ("report", "all"),
]


def texts(figure: Figure) -> list[str]:
    """All that is written in the axes and above them."""
    return [text.get_text() for axes in figure.axes for text in [*axes.texts, axes.title, axes._left_title]]


DRAWINGS = {
    "sample slices": lambda path: figures.sample_slices([view(), view()], [view(mask=None)], path),
    "bone views": lambda path: figures.bone_views([view(note="fracture")] * 5, path),
    "overlays": lambda path: figures.overlays([view(note="Dice 0.5"), view()], path),
    "augmentation": lambda path: figures.augmentation_examples(view(), [view(flipped=True), view()], path),
    "training curves": lambda path: figures.training_curves(history(folds=2), path),
    "boxplots": lambda path: figures.boxplots({"slices": {"bleed": [1.0, 2, 9], "none": [0.0]}}, path),
    "dice": lambda path: figures.dice_by_model(metrics(), path, models=["null", "unet-small"]),
    "reliability": lambda path: figures.reliability(calibration(), path, models=["null", "unet-small"]),
    "network": lambda path: figures.network_drawing(layers(), path, title="small"),
    "rule graph": lambda path: figures.rule_graph(EDGES, path),
    "placeholder": lambda path: figures.placeholder("nothing here", path),
}


@pytest.mark.parametrize("suffix", ["png", "svg"])
@pytest.mark.parametrize("name", DRAWINGS)
def test_same_bytes_on_a_second_write(name: str, suffix: str, tmp_path: Path) -> None:
    first, second = tmp_path / f"first.{suffix}", tmp_path / f"second.{suffix}"
    DRAWINGS[name](first)
    DRAWINGS[name](second)
    assert first.read_bytes() == second.read_bytes()
    assert first.stat().st_size > 1000


@pytest.mark.parametrize("name", ["sample slices", "bone views", "overlays", "augmentation"])
def test_every_picture_of_a_slice_has_its_marks(name: str, tmp_path: Path) -> None:
    figure = DRAWINGS[name](tmp_path / "figure.png")
    window = "bone 600/2800" if name == "bone views" else "brain 40/120"
    pictures = [axes for axes in figure.axes if axes.images]
    assert pictures
    for axes in pictures:
        written = {text.get_text() for text in axes.texts}
        assert {"R", "L", "049 · slice 7", window} <= written
        # upright: row 0 on top, column 0 on the left
        assert axes.get_ylim()[0] > axes.get_ylim()[1]
        assert axes.get_xlim()[0] < axes.get_xlim()[1]


def test_right_of_the_patient_is_on_the_left_unless_flipped(tmp_path: Path) -> None:
    def place(figure: Figure, letter: str) -> float:
        return next(text.get_position()[0] for text in figure.axes[-1].texts if text.get_text() == letter)

    plain = figures.bone_views([view()], tmp_path / "plain.png")
    flipped = figures.bone_views([view(flipped=True)], tmp_path / "flipped.png")
    assert place(plain, "R") < 0.5 < place(plain, "L")
    assert place(flipped, "L") < 0.5 < place(flipped, "R")


def test_slice_image_follows_the_window() -> None:
    hu = np.array([[-20, 40, 100], [-1000, 10, 3000]], dtype=np.int16)
    assert figures.slice_image(hu, "brain").tolist() == [[0, 128, 255], [0, 64, 255]]
    assert figures.slice_image(np.array([0.0, 0.5, 2.0]), "brain").tolist() == [0, 128, 255]


def test_truth_is_blue_and_prediction_orange(tmp_path: Path) -> None:
    figure = figures.overlays([view()], tmp_path / "figure.png")
    _, truth, prediction, both = figure.axes
    assert len(truth.images) == len(prediction.images) == 2
    red, _, blue, opacity = np.asarray(truth.images[1].get_array())[13, 9]
    assert blue > red
    assert opacity > 0
    red, _, blue, _ = np.asarray(prediction.images[1].get_array())[13, 12]
    assert red > blue
    assert np.asarray(both.images[1].get_array())[13, 9, 3] == 0, "both masks are shown as outlines only"


def test_kept_epoch_of_each_fold_is_marked(tmp_path: Path) -> None:
    figure = figures.training_curves(history(folds=2), tmp_path / "figure.png")
    for axes, column in zip(figure.axes, ("val_loss", "val_dice"), strict=False):
        marked = [line.get_xydata().tolist() for line in axes.lines if line.get_marker() == "o"]
        value = history()[column]
        assert marked == [[[3, value[2]]], [[4, value[3]]]]


def test_every_value_is_a_point(tmp_path: Path) -> None:
    figure = figures.boxplots({"a": {"bleed": [1.0, 5, np.nan], "none": []}}, tmp_path / "figure.png")
    axes = figure.axes[0]
    points = [y for line in axes.lines if line.get_marker() == "o" for y in line.get_ydata()]
    assert sorted(points) == [1, 5]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["bleed\nn = 2", "none\nn = 0"]


def test_dice_is_that_of_test_patients_with_hemorrhage(tmp_path: Path) -> None:
    figure = figures.dice_by_model(metrics(), tmp_path / "figure.png", models=["null", "unet-small"])
    points = [y for line in figure.axes[0].lines if line.get_marker() == "o" for y in line.get_ydata()]
    assert sorted(points) == pytest.approx([0, 0, 0, 0.5, 0.6, 0.7])


def test_reliability_has_a_point_for_each_bin_with_pixels(tmp_path: Path) -> None:
    axes = figures.reliability(calibration(), tmp_path / "figure.png", models=["null", "unet-small"]).axes[0]
    curves = {line.get_label(): line.get_xydata().tolist() for line in axes.lines}
    assert curves == {"as it says": [[0, 0], [1, 1]], "null": [[0, 0.01]], "unet-small": [[0.05, 0], [0.93, 0.7]]}


def test_network_has_a_bar_for_each_layer_and_a_skip(tmp_path: Path) -> None:
    figure = figures.network_drawing(layers(), tmp_path / "figure.png")
    bars = [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    assert len(bars) == len(layers())
    dashed = [patch for patch in figure.axes[0].patches if patch.get_linestyle() == "--"]
    assert len(dashed) == 1
    assert {"64 × 64", "32 × 32", "16"} <= set(texts(figure))
    for one, other in combinations(bars, 2):
        assert not one.get_bbox().padded(-0.01).overlaps(other.get_bbox().padded(-0.01))


def test_rules_do_not_overlap_and_stand_below_what_they_need(tmp_path: Path) -> None:
    figure = figures.rule_graph(EDGES, tmp_path / "figure.png")
    boxes = [patch for patch in figure.axes[0].patches if isinstance(patch, FancyBboxPatch)]
    assert len(boxes) == len({name for edge in EDGES for name in edge})
    outlines = [box.get_path().get_extents() for box in boxes]
    assert not any(one.overlaps(other) for one, other in combinations(outlines, 2))
    height = {text.get_text().replace("\n", ""): text.get_position()[1] for text in figure.axes[0].texts}
    assert all(height[before] > height[after] for before, after in EDGES)


def test_long_edges_pass_beside_the_boxes() -> None:
    positions, routes = figures._layered([("a", "b"), ("b", "c"), ("c", "d"), ("a", "e"), ("e", "d")])
    assert ["e"] not in routes
    long = next(route for route in routes if route[0] == "e")
    assert len(long) == 3
    x, level = positions[long[1]]
    assert all(abs(x - other) >= 1 for name, (other, y) in positions.items() if y == level and name != long[1])


EMPTY = {
    "sample slices": lambda path: figures.sample_slices([], [], path),
    "bone views": lambda path: figures.bone_views([], path),
    "overlays": lambda path: figures.overlays([], path),
    "augmentation": lambda path: figures.augmentation_examples(view(), [], path),
    "training curves": lambda path: figures.training_curves(history().iloc[:0], path),
    "boxplots": lambda path: figures.boxplots({"slices": {"bleed": [], "none": []}}, path),
    "dice": lambda path: figures.dice_by_model(metrics().iloc[:0], path, models=["null"]),
    "reliability": lambda path: figures.reliability(calibration().iloc[:0], path, models=["null"]),
    "network": lambda path: figures.network_drawing([], path),
    "rule graph": lambda path: figures.rule_graph([], path),
}


@pytest.mark.parametrize("name", EMPTY)
def test_nothing_to_draw_is_said(name: str, tmp_path: Path) -> None:
    figure = EMPTY[name](tmp_path / "figure.png")
    assert (tmp_path / "figure.png").exists()
    assert figure.texts[0].get_text().startswith("No ")


def test_slices_without_hemorrhage_alone(tmp_path: Path) -> None:
    figure = figures.sample_slices([], [view(mask=None)], tmp_path / "figure.png")
    assert "without hemorrhage" in texts(figure)
    assert "with hemorrhage" not in texts(figure)
