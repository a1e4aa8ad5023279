"""The config: completed with defaults and refused by key, before any job starts."""

import math
import re
from collections.abc import Iterable
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from ichflow.errors import IchflowError
from ichflow.recipes import BASELINES, in_words, positives
from ichflow.schedule import GOVERNING, idle


def _is_number(checker: Any, value: Any) -> bool:
    """YAML's .nan and .inf are none: no limit holds the former back."""
    return Draft202012Validator.TYPE_CHECKER.is_type(value, "number") and math.isfinite(value)


_Validator: Any = extend(
    Draft202012Validator, type_checker=Draft202012Validator.TYPE_CHECKER.redefine("number", _is_number)
)


def complete(config: dict[str, Any], schema_path: str | Path) -> None:
    """Check a config against its schema and put in the schema's defaults, in place.

    Raises
    ------
    IchflowError
        With every key that is unknown, missing, of the wrong type or at odds with another one.
    """
    schema = yaml.safe_load(Path(schema_path).read_text(encoding="utf-8"))
    _fill(config, schema)
    _type_choices(config, schema)
    errors = sorted(_Validator(schema).iter_errors(config), key=lambda error: list(map(str, error.path)))
    problems = [line for error in errors for line in _told(error)] or _contradictions(config, schema)
    if not problems and config["dataset"]["restricted"] is None:
        config["dataset"]["restricted"] = config["dataset"]["source"] != "phantom"
    if problems:
        raise IchflowError(
            "the config cannot be used:\n" + "\n".join(f"  {line}" for line in problems) + "\n"
            "Every key is explained in config/README.md."
        )


def refuse_octal(paths: Iterable[str | Path]) -> None:
    """Refuse patients such as 071 without quotes, which YAML takes for octal numbers: here 57, another patient.

    Parameters
    ----------
    paths
        The config files as they were written.

    Raises
    ------
    IchflowError
        With the file and what to write instead.
    """
    for path in paths:
        root = yaml.compose(Path(path).read_text(encoding="utf-8"))
        patients = _below(_below(root, "dataset"), "patients")
        for node in patients.value if isinstance(patients, yaml.SequenceNode) else []:
            if node.tag.endswith(":int") and re.fullmatch(r"0[0-9]+", str(node.value)):
                raise IchflowError(
                    f"{path}: dataset.patients: found {node.value}, which YAML reads as an octal number; expected "
                    f"{node.value.lstrip('0')}, or '{node.value}' in quotes"
                )


def _below(node: Any, key: str) -> Any:
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return next((value for name, value in pairs if name.value == key), None)


def _fill(config: Any, schema: dict[str, Any]) -> None:
    if not isinstance(config, dict):
        return
    for key, part in schema.get("properties", {}).items():
        if "default" in part:
            default = part["default"]
            config.setdefault(key, default.copy() if isinstance(default, dict | list) else default)
        if key in config:
            config[key] = _as_typed(config[key], part)
            _fill(config[key], part)
    if isinstance(others := schema.get("additionalProperties"), dict):
        for value in config.values():
            _fill(value, others)


def _type_choices(config: Any, schema: dict[str, Any]) -> None:
    """Read what is tried of a key of a recipe as that key itself is read."""
    keys = schema["properties"]["recipes"]["additionalProperties"]["properties"]
    choices = config["ablation"].get("choices") if isinstance(config["ablation"], dict) else None  # pyright: ignore[reportUnknownMemberType]
    for key, values in choices.items() if isinstance(choices, dict) else ():  # pyright: ignore[reportUnknownVariableType]
        if key in keys and isinstance(values, list):
            values[:] = [_as_typed(value, keys[key]) for value in values]  # pyright: ignore[reportUnknownVariableType]


def _as_typed(value: Any, schema: dict[str, Any]) -> Any:
    """Read a number or truth value that came as text, as what is nested in ``--config`` does, and 8.0 as 8."""
    if isinstance(value, list) and "items" in schema:
        return [_as_typed(item, schema["items"]) for item in value]  # pyright: ignore[reportUnknownVariableType]
    types = schema.get("type", [])
    if isinstance(value, str) and ("string" not in types or "number" in types):
        value = _read(value, "string" in types)
    return int(value) if "integer" in types and isinstance(value, float) and value.is_integer() else value


def _read(text: str, may_be_text: bool) -> Any:
    with suppress(ValueError):  # YAML takes 1e-4 for text
        return float(text)
    if may_be_text:
        return text
    with suppress(yaml.YAMLError):
        return yaml.safe_load(text)
    return text


def _told(error: ValidationError) -> list[str]:
    key = ".".join(map(str, error.absolute_path)) or "config"
    schema: Any = error.schema
    if error.validator == "additionalProperties":
        found: Any = error.instance
        unknown = sorted(map(str, set(found) - set(schema["properties"])))
        return [f"{key}: unknown key '{name}'{_meant(name, schema['properties'])}" for name in unknown]
    return [f"{key}: {error.message}" + (f" ({text})" if (text := schema.get("description")) else "")]


def _contradictions(config: dict[str, Any], schema: dict[str, Any]) -> list[str]:
    recipes = config["recipes"]
    problems = _at_odds(config["dataset"])
    for key, other in (("scans", "model"), ("model", "scans")):
        if config[other] and not config[key]:
            problems.append(
                f"{key}: nothing found, expected a path, as '{other}' is given; predict_new needs both (what a run "
                "trains stands in 'models')"
            )
    low, high = config["evaluate"]["threshold_hu"]
    if low >= high:
        problems.append(f"evaluate.threshold_hu: found {low} to {high}, expected the lower value first")
    for name in config["models"]:
        if name in BASELINES:
            problems.append(f"models: '{name}' is the name of a baseline; give the recipe another one")
        elif name not in recipes:
            problems.append(f"models: no recipe '{name}'{_meant(name, recipes)}")
        elif not recipes[name]["file"]:
            problems += _untrainable(name, recipes[name], config)
    return problems + _ablation(config, schema["properties"]["recipes"]["additionalProperties"])


def _ablation(config: dict[str, Any], recipe: dict[str, Any]) -> list[str]:
    """Tell which variants of the ablation could not be trained."""
    base, choices = config["ablation"]["recipe"], config["ablation"]["choices"]
    if not choices and not config["recipes"]:
        return []
    if base not in config["recipes"]:
        return [f"ablation.recipe: no recipe '{base}'{_meant(base, config['recipes'])}"]
    if not choices:
        return []
    if config["recipes"][base]["file"]:
        return [f"ablation.recipe: found '{base}', which has 'file' and is not trained; expected a recipe without it"]
    problems = [] if base in config["models"] else _untrainable(base, config["recipes"][base], config)
    for key, values in choices.items():
        if key == "size":
            problems.append("ablation.choices: 'size' cannot be tried, as Dice is measured at the size of the network")
            continue
        if key not in recipe["properties"] or key in ("file", "seed"):
            problems.append(f"ablation.choices: '{key}' is no choice of a recipe{_meant(key, recipe['properties'])}")
            continue
        accepted: list[Any] = []
        for value in values:
            changed = config["recipes"][base] | {key: value}
            wrong = [error.message for error in _Validator(recipe["properties"][key]).iter_errors(value)]
            wrong = wrong or _idle_choice(base, config["recipes"][base], key, value, accepted)
            problems += [f"ablation.choices.{key}: {message}" for message in wrong]
            if not wrong:
                accepted.append(value)
                problems += _untrainable(f"{base} with {key} {value}", changed, config)
    return problems


def _idle_choice(base: str, recipe: dict[str, Any], key: str, value: Any, before: list[Any]) -> list[str]:
    """Tell why a variant would be the recipe or another variant once more, whose chance looks like a difference."""
    if value == recipe[key]:
        return [f"found {in_words(value)}, which is that of '{base}' itself; expected another one"]
    if value in before:
        return [f"found {in_words(value)} twice; expected each value once"]
    size = recipe["batch_size"]
    for other in (recipe[key], *before):
        if key == "positive_share" and positives(value, size) == positives(other, size):
            return [f"found {value}, which is as many slices of a batch of {size} as {other}"]
        if key in idle(recipe | {key: value}) & idle(recipe | {key: other}):
            beside = ", ".join(f"{name} {in_words(recipe[name])}" for name in GOVERNING if name != key)
            return [f"found {in_words(value)}, which changes as little as {in_words(other)} beside {beside}"]
    return []


def _at_odds(dataset: dict[str, Any]) -> list[str]:
    """Tell which keys a source lacks, and which are given to one that does not know them."""
    source = dataset["source"]
    known = {"folder": ("folder", "sheet", "labels", "mask_classes"), "zip": ("zip",)}
    problems: list[str] = []
    if source == "folder" and not (dataset["folder"] or dataset["sheet"]):
        problems.append(
            "dataset.folder: nothing found, expected the path of a dataset (or dataset.sheet), as dataset.source is "
            "'folder'"
        )
    if source == "zip" and not dataset["zip"]:
        problems.append("dataset.zip: nothing found, expected the path of a zip, as dataset.source is 'zip'")
    for key in ("zip", "sheet", "labels", "mask_classes"):
        if dataset[key] and key not in known.get(source, ()):
            problems.append(f"dataset.{key}: found a value, expected none, as dataset.source is '{source}'")
        elif dataset[key] and key in ("labels", "mask_classes") and not dataset["sheet"]:
            problems.append(f"dataset.{key}: found a value, expected none without dataset.sheet")
    return problems


def _untrainable(name: str, recipe: dict[str, Any], config: dict[str, Any]) -> list[str]:
    problems: list[str] = []
    size, levels, available = recipe["size"], recipe["levels"], config["slice"]["size"]
    if size > available:
        problems.append(f"recipes.{name}.size: found {size}, expected at most slice.size, which is {available}")
    if size % 2**levels:
        problems.append(f"recipes.{name}.size: found {size}, expected a multiple of {2**levels} for {levels} levels")
    share = recipe["positive_share"]
    drawn = positives(share, recipe["batch_size"])
    if drawn == 0:
        problems.append(
            f"recipes.{name}.positive_share: found {share}, which is no slice of a batch of {recipe['batch_size']}"
        )
    if drawn == recipe["batch_size"] and share < 1:
        problems.append(
            f"recipes.{name}.positive_share: found {share}, which is all slices of a batch of {recipe['batch_size']}; "
            "expected 1, or less"
        )
    threshold = recipe["threshold"]
    if not isinstance(threshold, str) and round(threshold, 2) != threshold:
        near = min(max(round(threshold, 2), 0.01), 0.99)
        problems.append(f"recipes.{name}.threshold: found {threshold}, expected hundredths, such as {near:.2f}")
    if config["split"]["folds"] == 0:
        problems.append(f"recipes.{name}.file: nothing found, expected an exported model, as split.folds is 0")
    return problems


def _meant(name: Any, known: Any) -> str:
    close = get_close_matches(str(name), list(map(str, known)), n=1)
    return f"; did you mean '{close[0]}'?" if close else f"; expected one of {', '.join(map(str, known))}"
