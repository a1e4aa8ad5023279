"""The config is completed, or refused by key."""

import copy

import pytest
import yaml
from ichflow import settings
from ichflow.errors import IchflowError
from ichflow.recipes import Recipe
from support import ROOT

SCHEMA = ROOT / "workflow/schemas/config.schema.yaml"
DEFAULT = yaml.safe_load((ROOT / "config/config.yaml").read_text())


def completed(*path, value=None, config=None):
    config = copy.deepcopy(config or DEFAULT)
    at = config
    for key in path[:-1]:
        at = at.setdefault(key, {})
    if path:
        at[path[-1]] = value
    settings.complete(config, SCHEMA)
    return config


def refused(*path, value):
    with pytest.raises(IchflowError) as error:
        completed(*path, value=value)
    return str(error.value)


def test_the_shipped_config_is_complete_and_defaults_are_filled_in():
    config = completed()
    assert config["recipes"]["unet-2d"]["filters"] == 64
    assert config["recipes"]["unet-small"]["batch_size"] == 10
    assert config["dataset"]["patients"] == []


def test_the_overlay_for_ct_ich_is_accepted():
    overlay = yaml.safe_load((ROOT / "config/ct-ich.yaml").read_text())
    config = copy.deepcopy(DEFAULT)
    for key, value in overlay.items():
        config[key] = config[key] | value if isinstance(value, dict) else value
    settings.complete(config, SCHEMA)
    assert config["dataset"]["restricted"]


def test_recipes_have_just_the_keys_of_the_schema():
    for keys in completed()["recipes"].values():
        Recipe.of_config(keys)


def test_defaults_are_not_shared_between_recipes():
    config = completed("recipes", "other", value={})
    config["recipes"]["unet-2d"]["windows"].append("bone")
    assert config["recipes"]["other"]["windows"] == ["brain"] * 3


def test_a_typo_is_refused_with_what_was_meant():
    assert "recipes.unet-small: unknown key 'filers'; did you mean 'filters'?" in refused(
        "recipes", "unet-small", "filers", value=8
    )
    assert "config: unknown key 'modls'; did you mean 'models'?" in refused("modls", value=["unet-small"])
    assert "what a run trains stands in 'models'" in refused("model", value=["unet-small"])


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("phantom", "patients"), "many", "phantom.patients: 'many' is not of type 'integer'"),
        (("phantom", "patients"), 0, "phantom.patients: 0 is less than the minimum"),
        (("dataset", "source"), "dicom", "dataset.source: 'dicom' is not one of"),
        (("dataset", "name"), "../elsewhere", "dataset.name"),
        (("models",), ["unet-smal"], "models: no recipe 'unet-smal'; did you mean 'unet-small'?"),
        (("dataset", "source"), "folder", "dataset.folder: nothing found"),
        (("recipes", "unet-small", "size"), 512, "recipes.unet-small.size: found 512, expected at most slice.size"),
        (("recipes", "unet-small", "size"), 100, "expected a multiple of 8"),
        (("recipes", "unet-small", "windows"), ["lung"], "recipes.unet-small.windows.0: 'lung' is not one of"),
        (("split", "folds"), 0, "recipes.unet-small.file: nothing found"),
        (("evaluate", "threshold_hu"), [90, 50], "evaluate.threshold_hu"),
        (("models",), ["threshold"], "models: 'threshold' is the name of a baseline"),
        (
            ("recipes", "unet-small", "threshold"),
            0.505,
            "recipes.unet-small.threshold: found 0.505, expected hundredths",
        ),
        (("recipes", "unet-small", "threshold"), 0.001, "found 0.001, expected hundredths, such as 0.01"),
        (("recipes", "unet-small", "threshold"), 0.999, "found 0.999, expected hundredths, such as 0.99"),
        (("recipes", "unet-small", "positive_share"), 0.04, "recipes.unet-small.positive_share: found 0.04"),
        (("recipes", "unet-small", "positive_share"), 0.96, "found 0.96, which is all slices of a batch of 10"),
        (("recipes", "unet-small", "windows"), ["bone"] * 19, "recipes.unet-small.windows: "),
        (("recipes", "unet-small", "positive_share"), float("nan"), "recipes.unet-small.positive_share: nan is not of"),
        (("recipes", "unet-small", "learning_rate"), "inf", "recipes.unet-small.learning_rate: inf is not of type"),
        (("recipes", "unet-small", "epochs"), float("inf"), "recipes.unet-small.epochs: inf is not of type 'integer'"),
        (("recipes", "unet-small", "epochs"), "8.5", "recipes.unet-small.epochs: 8.5 is not of type 'integer'"),
        (("phantom", "size"), "[5", "phantom.size: '[5' is not of type 'integer'"),
    ],
)
def test_a_wrong_value_is_refused_by_key(path, value, told):
    assert told in refused(*path, value=value)


def test_all_problems_are_told_at_once():
    config = copy.deepcopy(DEFAULT)
    config["phantom"]["patients"] = "many"
    config["dataset"]["nam"] = "x"
    with pytest.raises(IchflowError) as error:
        settings.complete(config, SCHEMA)
    assert "phantom.patients" in str(error.value)
    assert "'nam'" in str(error.value)


def test_numbers_from_the_command_line_come_as_text():
    assert completed("recipes", "unet-small", "learning_rate", value="1e-4")["recipes"]["unet-small"][
        "learning_rate"
    ] == pytest.approx(1e-4)
    assert completed("phantom", "patients", value="12")["phantom"]["patients"] == 12
    assert completed("evaluate", "threshold_hu", value=["40", "80"])["evaluate"]["threshold_hu"] == [40, 80]


@pytest.mark.parametrize("written", [8.0, "8.0", "8"])
def test_a_whole_number_is_one_however_it_is_written(written):
    epochs = completed("recipes", "unet-small", "epochs", value=written)["recipes"]["unet-small"]["epochs"]
    assert (epochs, type(epochs)) == (8, int)


def test_every_key_is_described_in_the_schema_and_the_readme():
    schema = yaml.safe_load(SCHEMA.read_text())
    readme = (ROOT / "config/README.md").read_text()

    def keys(part):
        for name, value in part.get("properties", {}).items():
            yield name, value
            yield from keys(value)
        if isinstance(part.get("additionalProperties"), dict):
            yield from keys(part["additionalProperties"])

    for name, part in keys(schema):
        assert part.get("description"), name
        assert f"`{name}`" in readme, name
        if part.get("type") == "object" and isinstance(part.get("properties"), dict):
            assert part["additionalProperties"] is False, name


def test_what_an_ablation_cannot_try_is_refused():
    assert "ablation.recipe: no recipe 'unet'" in refused("ablation", value={"recipe": "unet"})
    assert "'size' cannot be tried" in refused("ablation", value={"choices": {"size": [64]}})
    assert "[1] is too short" in refused("ablation", value={"seeds": [1]})
    assert "maximum" in refused("ablation", value={"seeds": [1, 2**32]})
    assert "'1' is no choice of a recipe; expected one of" in refused("ablation", value={"choices": {1: [0]}})


@pytest.mark.parametrize(
    ("choices", "told"),
    [
        ({"loss": ["dice_focal", "dice_crossentropy"]}, "loss: found dice_crossentropy, which is that of 'unet-small'"),
        ({"positive_share": [None, None]}, "positive_share: found null twice; expected each value once"),
        ({"positive_share": [0.52]}, "positive_share: found 0.52, which is as many slices of a batch of 10 as 0.5"),
        (
            {"positive_share": [0.3, 0.31]},
            "positive_share: found 0.31, which is as many slices of a batch of 10 as 0.3",
        ),
        ({"stop_after": [3]}, "stop_after: found 3, which changes as little as 10 beside monitor last, schedule"),
    ],
)
def test_a_variant_that_changes_nothing_is_refused(choices, told):
    """It would be trained for nothing, and its chance told as what the choice gives."""
    assert f"ablation.choices.{told}" in refused("ablation", value={"choices": choices})


def test_a_variant_is_not_held_against_one_that_is_refused_itself():
    told = refused("ablation", value={"choices": {"positive_share": ["half", 0.3]}})
    assert "ablation.choices.positive_share: 'half' is not of type 'number', 'null'" in told
    assert "0.3" not in told


def test_a_variant_of_what_is_idle_in_the_recipe_is_trained_if_it_is_not_idle_itself():
    """A training of 50 epochs that ends after 10 worse ones never comes to the 60th."""
    config = completed("ablation", value={"recipe": "unet-2d", "choices": {"stop_after": [60]}})
    assert config["ablation"]["choices"] == {"stop_after": [60]}
    told = refused("ablation", value={"recipe": "unet-2d", "choices": {"stop_after": [60, 70]}})
    assert "ablation.choices.stop_after: found 70, which changes as little as 60 beside monitor val_loss" in told


def test_what_is_wrong_with_the_recipe_of_an_ablation_is_told_once():
    config = copy.deepcopy(DEFAULT)
    config["recipes"]["unet-small"]["size"] = 100
    config["ablation"] = {"choices": {"neighbors": [1]}}
    with pytest.raises(IchflowError) as error:
        completed(config=config)
    assert str(error.value).count("recipes.unet-small.size: found 100") == 1


def test_choices_of_an_ablation_may_come_as_text():
    choices = {"neighbors": ["1"], "learning_rate": ["1e-4"], "residual": ["true"], "windows": [["brain"]]}
    config = completed("ablation", value={"choices": choices})
    expected = {"neighbors": [1], "learning_rate": [1e-4], "residual": [True], "windows": [["brain"]]}
    assert config["ablation"]["choices"] == expected


def test_an_ablation_of_what_is_not_trained_is_refused():
    config = copy.deepcopy(DEFAULT)
    config["recipes"]["given"] = {"file": "model.onnx"}
    config["ablation"] = {"recipe": "given", "choices": {"neighbors": [1]}}
    with pytest.raises(IchflowError, match="which has 'file' and is not trained"):
        completed(config=config)
