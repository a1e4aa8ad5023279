"""What each choice of a recipe gives."""

import numpy as np
import pytest
from ichflow import ablation, figures, networks, recipes, shards, windows
from test_training import TINY, blob_shard, varied

CHANGED = recipes.variants({"loss": ["dice_focal"], "windows": [["brain"], ["brain", "bone"]]})


def rows_of(dice_of_patients, false_px=0):
    """Make the rows of one run: two slices a patient, of which the first is bleeding, and a patient without."""
    rows = []
    for number, dice in enumerate(dice_of_patients):
        hit = round(100 * dice)
        bleeding = {"true_px": 100, "predicted_px": 100, "true_positive_px": hit, "true_ml": 1.0 + 10 * number}
        rows.append({"patient": str(number), "slice": 1, "score": 0.5 + dice / 2} | bleeding)
        rows.append(
            bleeding | {"patient": str(number), "slice": 2, "score": 0.1} | dict.fromkeys(list(bleeding)[:3], 0)
        )
    nothing = {"true_px": 0, "predicted_px": false_px, "true_positive_px": 0, "true_ml": 0.0}
    return [*rows, {"patient": "none", "slice": 1, "score": 0.2} | nothing]


def test_variants_change_one_choice_each():
    assert CHANGED == {
        "base": {},
        "loss-1": {"loss": "dice_focal"},
        "windows-1": {"windows": ["brain"]},
        "windows-2": {"windows": ["brain", "bone"]},
    }


def test_the_table_by_hand():
    runs = {"base": [rows_of([0.2, 0.4]), rows_of([0.4, 0.6], 8)], "loss-1": [rows_of([0.6, 0.8]), rows_of([0.8, 1.0])]}
    base, better = ablation.table(runs, CHANGED, resamples=2000, seed=1)
    assert (base["variant"], base["choice"], better["choice"], better["value"]) == ("base", "", "loss", "dice_focal")
    assert base["dice"] == pytest.approx(0.4)
    assert (base["dice_lowest_seed"], base["dice_highest_seed"]) == pytest.approx((0.3, 0.5))
    assert base["small_dice"] == pytest.approx(0.3)  # of the patient with 1 mL
    assert base["false_positive_px"] == 4
    assert base["slice_auroc"] == 1
    assert base["n_patients"] == 2
    assert better["dice_difference"] == pytest.approx(0.4)
    assert better["dice_difference_low"] < 0.4 < better["dice_difference_high"]
    # The lowest: its worst seed against the best one of the recipe, spread by the root of two since they are two each
    assert better["dice_difference_low"] == pytest.approx(0.4 - 2 * 0.1 * 2**0.5, abs=1e-5)
    # One patient, whom a quarter of the resamples leave out
    assert better["small_dice_difference"] == pytest.approx(0.4)
    assert better["small_dice_difference_low"] is None
    # No false pixel against 0 and 8 of the only patient without hemorrhage
    assert better["false_positive_px_difference"] == -4
    assert better["false_positive_px_difference_low"] == pytest.approx(-4 - 4 * 2**0.5, abs=1e-5)
    assert set(better) == set(ablation.COLUMNS)


def test_where_all_patients_are_small_their_dice_is_that_of_all():
    runs = {"base": [rows_of([0.2, 0.4]), rows_of([0.4, 0.6])], "loss-1": [rows_of([0.6, 0.9]), rows_of([0.8, 1.0])]}
    small = {
        name: [[row | {"true_ml": min(row["true_ml"], 1.0)} for row in rows] for rows in seeds]
        for name, seeds in runs.items()
    }
    for row in ablation.table(small, CHANGED, resamples=500, seed=1):
        of_all = {name: value for name, value in row.items() if name.startswith("dice_") and "seed" not in name}
        assert {name: row[f"small_{name}"] for name in of_all} == of_all


def test_an_interval_of_a_mean_keeps_to_what_there_can_be_and_that_of_a_difference_does_not():
    """Shares of seeds may be negative, so that 0.0 and 0.9 are drawn as less than nothing."""
    runs = {"base": [rows_of([0.0, 0.0]), rows_of([0.9, 0.9], 8)], "loss-1": [rows_of([0.0, 0.0]), rows_of([0.9, 0.9])]}
    base, same = ablation.table(runs, CHANGED, resamples=2000, seed=1)
    assert (base["dice_low"], base["dice_high"]) == (0, 1)
    assert (base["false_positive_px_low"], base["false_positive_px_high"]) == (0, pytest.approx(4 + 4 * 2**0.5))
    assert same["dice_difference_low"] == pytest.approx(-0.9 * 2**0.5, abs=1e-5)


def test_without_any_hemorrhage_there_is_a_table():
    rows = [row for row in rows_of([0.2], 8) if row["patient"] == "none"]
    base, _ = ablation.table({"base": [rows] * 2, "loss-1": [rows] * 2}, CHANGED, resamples=50, seed=1)
    assert (base["n_patients"], base["dice"], base["dice_lowest_seed"], base["false_positive_px"]) == (0, None, None, 8)


def test_without_small_patients_and_without_healthy_ones_there_is_a_table():
    rows = [row | {"true_ml": 20.0} for row in rows_of([0.2, 0.4]) if row["patient"] != "none"]
    base, _ = ablation.table({"base": [rows] * 2, "loss-1": [rows] * 2}, CHANGED, resamples=50, seed=1)
    assert (base["n_small"], base["small_dice"], base["small_dice_low"]) == (0, None, None)
    assert (base["false_positive_px"], base["false_positive_px_high"]) == (None, None)


def test_values_are_told_in_the_words_of_the_config():
    changed = recipes.variants(
        {"positive_share": [None], "residual": [True], "affine": [0], "weight_average": [0.98], "windows": [["a", "b"]]}
    )
    rows = ablation.table(dict.fromkeys(changed, [rows_of([0.2, 0.4])] * 2), changed, resamples=10, seed=1)
    assert [row["value"] for row in rows] == ["", "null", "true", "0", "0.98", "a + b"]


def test_slice_auroc_is_compared_over_all_patients_by_hand():
    missed = rows_of([0.2, 0.4])
    missed[0]["score"] = 0.05  # below the three slices without hemorrhage
    runs = {"base": [rows_of([0.2, 0.4])] * 2, "loss-1": [missed] * 2}
    base, worse = ablation.table(runs, CHANGED, resamples=2000, seed=1)
    assert (base["slice_auroc"], worse["slice_auroc"], worse["slice_auroc_difference"]) == (1, 0.5, -0.5)
    # Both patients the missed one, and neither
    assert (worse["slice_auroc_difference_low"], worse["slice_auroc_difference_high"]) == (-1, 0)
    assert "slice_auroc_difference" not in base


@pytest.mark.parametrize("count", [2, 3, 6])
def test_resampled_seeds_vary_as_a_mean_of_seeds_does(count):
    random = np.random.default_rng(5)
    values = random.random(count)
    drawn = ablation._drawn_seeds(count, 100_000, random)
    np.testing.assert_allclose(drawn.sum(axis=1), 1)
    assert (drawn @ values).var() == pytest.approx(values.var(ddof=1) / count, rel=0.02)


def test_a_recipe_that_finds_nothing_is_drawn_without_an_interval(tmp_path):
    runs = {"base": [rows_of([0.0, 0.0])] * 2, "loss-1": [rows_of([0.2, 0.4])] * 2}
    table = ablation.table(runs, CHANGED, 200, 1)
    assert (table[0]["dice"], table[0]["dice_low"]) == (0, None)
    figure = figures.ablation(table, tmp_path / "figure.png")
    assert figure.get_suptitle() == "The recipe: Dice 0.000, 2 patients with hemorrhage, 2 seeds"


def test_a_variant_that_changes_nothing_has_an_interval_around_zero():
    random = np.random.default_rng(0)
    runs = {name: [rows_of(random.random(20)) for _ in range(3)] for name in ("base", "loss-1")}
    _, same = ablation.table(runs, CHANGED, resamples=2000, seed=1)
    assert same["dice_difference_low"] < 0 < same["dice_difference_high"]


def test_patients_are_measured_at_the_size_of_the_network(tmp_path):
    """An untrained network is nobody's, but what is counted of it can be counted again."""
    paths = [tmp_path / "049.parquet", tmp_path / "050.parquet"]
    for path, bleeding in zip(paths, (True, False), strict=True):
        shards.write(path, blob_shard(path.stem, bleeding))
    network = varied(networks.build(TINY))
    rows = list(ablation.measure(network, TINY, 0.1, paths))
    assert [row["patient"] for row in rows] == ["049"] * 8 + ["050"] * 8
    shard = shards.read(paths[0])
    assert [row["true_px"] for row in rows[:8]] == [int(plane.sum()) for plane in shard.mask]
    assert rows[0]["true_ml"] == pytest.approx(shard.mask.sum() * 5 / 1000)
    assert all(row["true_positive_px"] <= min(row["true_px"], row["predicted_px"]) for row in rows)
    assert any(0 < row["predicted_px"] < 32 * 32 for row in rows)
    shard_input = [
        windows.network_input(shard.hu[windows.neighborhood(8, place, TINY.neighbors)], TINY.windows)
        for place in range(8)
    ]
    alone = [networks.probabilities(network, image[None]).max() for image in shard_input]
    assert [row["score"] for row in rows[:8]] == pytest.approx(alone, rel=1e-4)
    everything = list(ablation.measure(network, TINY, 0.0, paths[:1]))
    assert {row["predicted_px"] for row in everything} == {32 * 32}


def test_the_figure_names_every_variant(tmp_path):
    runs = {name: [rows_of([0.2, 0.4]), rows_of([0.4, 0.6])] for name in CHANGED}
    figure = figures.ablation(ablation.table(runs, CHANGED, 200, 1), tmp_path / "figure.png")
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["loss: dice_focal", "windows: brain", "windows: brain + bone"]
    assert [axes.get_xlabel() for axes in figure.axes] == [
        "difference of mean Dice to the recipe",
        "difference of Dice under 5 mL to the recipe",
        "difference of slice AUROC to the recipe",
    ]
    figures.ablation(ablation.table({"base": runs["base"]}, CHANGED, 200, 1), tmp_path / "none.png")
