"""What a run says of itself: methods, checklists, the study beside it, and who is in each part."""

import copy
import itertools
import math
import re
from typing import Any

import pandas as pd
import pytest
import yaml
from ichflow import characteristics, checklists, facts, page, prose, provenance, report, settings, study
from ichflow.errors import IchflowError
from ichflow.provenance import Code
from scipy import stats
from support import ROOT
from test_report import make_inventory, make_summary, make_tests

FOLDER = ROOT / "workflow" / "report"
CHECKLISTS = FOLDER / "checklists.yaml"
METHODS = (FOLDER / "methods.md.j2").read_text()
STUDY = (FOLDER / "study.md").read_text()

COUNTS: dict[str, Any] = {
    "patients": 75,
    "patients set aside": 1,
    "patients used": 74,
    "patients with hemorrhage": 36,
    "slices": 2777,
    "slices a patient, minimum": 31,
    "slices a patient, maximum": 58,
    "slices with hemorrhage": 318,
    "male patients": 42,
    "female patients": 32,
    "age in years, mean": 28,
    "pixel in mm, smallest": 0.314,
    "pixel in mm, largest": 0.479,
    "distance of slices in mm, smallest": 5,
    "distance of slices in mm, largest": 5,
    "train patients": 40,
    "train slices": 1503,
    "validation patients": 14,
    "validation slices": 529,
    "test patients": 20,
    "test slices": 745,
}
# What no run can know: whoever reads an answer to these should ask who gave it
NEVER_KNOWN = {
    "TRIPOD+AI": ["1", "3c", "5b", "6a", "8b", "8c", "14", "17", "18a", "18b", "18d", "19", "25", "27c"],
    "CLAIM 2024": ["4", "11", "15", "16", "18", "34", "41", "44"],
}


def make_config(**dataset: Any) -> dict[str, Any]:
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    config["dataset"] |= dataset
    settings.complete(config, ROOT / "workflow/schemas/config.schema.yaml")
    return config


def make_training(model: str, fold: int = 0, **changes: Any) -> dict[str, Any]:
    patients = {"train": ["049"] * 40, "validation": ["050"] * 14, "test": ["051"] * 20}
    machine = {"from_epoch": 1, "processor": "A CPU", "cores": 2, "threads": 2, "memory_gb": 8.0, "accelerators": []}
    default = {
        "model": model,
        "fold": fold,
        "parameters": 31_032_837,
        "epochs": 9,
        "best_epoch": 8,
        "seconds": 180.6,
        "images_a_second": 60.2,
        "backend": "tensorflow",
        "threshold": {"validation": 0.05, "used": 0.05},
        "machines": [machine | {"precision": "float32"}],
        "versions": {"keras": "3.15.1"},
        "patients": patients,
    }
    return default | changes


def known_of(
    config: dict[str, Any], trainings: list[dict[str, Any]], counts: dict[str, Any] = COUNTS
) -> dict[str, Any]:
    summary = make_summary(("null", "threshold", *config["models"]))
    return facts.gather(config, counts, make_inventory(), summary, trainings, Code("abc", "d" * 64))


PHANTOM = make_config()
REAL = make_config(name="ct-ich", source="folder", folder="/data/ct_ich*", edition="ct-ich-1.3.1")
OTHER = make_config(name="ward", source="folder", sheet="/data/sheet.csv")
GIVEN = copy.deepcopy(OTHER)
GIVEN["recipes"]["unet-small"]["file"] = "model.onnx"
GIVEN["split"]["folds"] = 0
FOLDED = copy.deepcopy(REAL)
FOLDED["split"]["folds"] = 5
FOLDED["models"] = ["unet-2d", "unet-25d"]
FIXED = copy.deepcopy(REAL)
FIXED["models"] = ["unet-2d"]
FIXED["recipes"]["unet-2d"] |= {"threshold": 0.4, "monitor": "last", "weight_average": 0.9}
TWO_MACHINES = [
    {"from_epoch": 1, "precision": "float32", "processor": "A CPU", "accelerators": []},
    {"from_epoch": 4, "precision": "mixed_bfloat16", "processor": "A CPU", "accelerators": ["A GPU"]},
]
RUNS = {
    "phantom": known_of(PHANTOM, [make_training("unet-small")]),
    "ct-ich": known_of(REAL, [make_training("unet-small")]),
    "other": known_of(OTHER, [make_training("unet-small")]),
    "moved": known_of(REAL, [make_training("unet-small", machines=TWO_MACHINES)]),
    "given": known_of(GIVEN, []),
    "fixed": known_of(FIXED, [make_training("unet-2d", threshold={"validation": 0.05, "used": 0.4})]),
    "folded": known_of(FOLDED, [make_training(model, fold) for model in FOLDED["models"] for fold in range(5)]),
}
NOTHING_KNOWN = {name: None if "," in name or "male" in name else number for name, number in COUNTS.items()}
RUNS["unlabeled"] = known_of(OTHER, [make_training("unet-small")], NOTHING_KNOWN)


def methods_of(known: dict[str, Any]) -> str:
    text = prose.fill(METHODS, known, name="methods.md.j2", filters=facts.FILTERS)
    return "\n".join(prose.plain(line) for line in text.splitlines())


@pytest.mark.parametrize("run", RUNS)
def test_methods_are_whole_sentences_for_every_kind_of_run(run: str) -> None:
    text = methods_of(RUNS[run])
    assert "None" not in text
    assert "–" not in text or run == "unlabeled"
    for paragraph in text.split("\n"):
        assert not paragraph or paragraph.startswith("#") or paragraph.strip().endswith((".", ":")), paragraph
    assert not re.search(r"[^.]\.\.(?!\.)|  | ,|\( |1 patients|1 epochs", text.replace(". \n", ".\n"))


@pytest.mark.parametrize(
    ("run", "words"),
    [
        ("phantom", "72 head CTs in the layout of CT-ICH 1.3.1 were generated (seed 1)"),
        (
            "phantom",
            "75 patients, of whom 74 were used: 2,777 slices (31 to 58 a patient), 318 of them, in 36 patients",
        ),
        ("phantom", "40 patients (1,503 slices) for training, 14 (529 slices) for validation and 20 (745 slices)"),
        ("phantom", "25 % of the others were for validation, not for training"),
        ("folded", "of the others of each fold were for validation, not for training"),
        ("phantom", "subdural (level 80, width 200 HU)"),
        ("phantom", "1 patient could not be used and was set aside"),
        ("phantom", "kept epoch 8, in 3.01 minutes (tensorflow; float32, A CPU)"),
        ("moved", "(tensorflow; float32, A CPU; from epoch 4 on mixed_bfloat16, A GPU)"),
        ("phantom", "from a probability of 0.050, the middle one of the thresholds whose mean Dice"),
        ("phantom", "was to end after 9 epochs; the weights of the last epoch were kept"),
        ("fixed", "on the fly: horizontal flip (probability 0.5), elastic deformation (0.3), brightness and contrast"),
        ("folded", "shift by up to 6 % (0.8), elastic deformation (0.5), brightness and contrast"),
        ("ct-ich", "Head CTs of ct-ich-1.3.1 (Hssayeni et al. 2020"),
        ("other", "described by a sheet"),
        ("given", "It came as a file and was not trained here"),
        ("given", "Nobody was trained on"),
        ("folded", "The loss is binary cross-entropy"),
        ("folded", "31,032,837 parameters"),
        ("folded", "Adam started at a learning rate of 0.0001"),
        ("folded", "halved it after 5 epochs without a better one"),
        ("folded", "was to end after at most 50 epochs, or after 10 in a row without a better one"),
        ("fixed", "from a probability of 0.400, fixed beforehand"),
        ("fixed", "at a learning rate of 0.0001. Batches"),
        ("fixed", "weights were averaged over steps (momentum 0.9), and those of the last epoch were kept"),
        ("folded", "A 2-filter 3 × 3 ReLU convolution precedes"),
        ("folded", "after a warm-up of 2 epochs and followed half a cosine"),
        ("folded", "of one axial slice and of 1 on either side in 3 windows"),
        ("folded", "With 5 folds every patient is a test patient in exactly one"),
        ("folded", "Fold 5 ran 9 epochs"),
    ],
)
def test_methods_say_what_config_and_tables_say(run: str, words: str) -> None:
    assert words in methods_of(RUNS[run])


def test_checklists_have_every_item_of_their_guidelines() -> None:
    """Collins et al. 2024 has 27 items, 52 with their parts; Tejani et al. 2024 has 44."""
    parts = {3: 3, 5: 2, 6: 3, 8: 3, 9: 3, 12: 7, 18: 6, 20: 3, 23: 2, 27: 3}
    tripod = [f"{n}{letter}" for n in range(1, 28) for letter in ("abcdefg"[: parts[n]] if n in parts else [""])]
    assert len(tripod) == 52
    found = {
        each["guideline"]: [item["item"] for item in each["items"]] for each in yaml.safe_load(CHECKLISTS.read_text())
    }
    assert found == {"TRIPOD+AI": tripod, "CLAIM 2024": [str(n) for n in range(1, 45)]}


@pytest.mark.parametrize("run", RUNS)
def test_every_item_is_answered_or_named_as_open(run: str) -> None:
    items = checklists.fill(CHECKLISTS, RUNS[run])
    assert len(items) == 96
    for item in items:
        assert item.answer or item.open, item
        assert (item.status == "open") == (not item.answer), item
        assert (item.status == "answered") == (not item.open), item
        assert "None" not in re.sub(r"^None\b|\bNone[:.]| None beyond", "", item.answer), item
        assert not re.search(r"\{|\}|  ", item.answer + item.open), item


@pytest.mark.parametrize("run", [name for name in RUNS if name != "phantom"])
def test_what_no_run_can_know_stays_open(run: str) -> None:
    items = {(item.guideline, item.item): item for item in checklists.fill(CHECKLISTS, RUNS[run])}
    for guideline, numbers in NEVER_KNOWN.items():
        for number in numbers:
            item = items[guideline, number]
            assert item.open, item
            assert not item.answer, item


def test_answers_carry_the_numbers_of_the_run() -> None:
    items = {(item.guideline, item.item): item.answer for item in checklists.fill(CHECKLISTS, RUNS["ct-ich"])}
    assert "mean Dice 0.712 (95 % interval 0.612 to 0.812)" in items["TRIPOD+AI", "23a"]
    assert items["TRIPOD+AI", "20a"] == "75 patients, 1 set aside, 74 used, 36 with hemorrhage."
    assert "sensitivity 0.712 [0.612, 0.812]" in items["CLAIM 2024", "38"]
    assert "keras 3.15.1" in items["CLAIM 2024", "23"]


def test_open_items_are_named_on_the_page() -> None:
    section = checklists.section(checklists.fill(CHECKLISTS, RUNS["ct-ich"]))
    assert [table.caption for table in section.tables] == ["TRIPOD+AI", "CLAIM 2024"]
    assert [len(table.rows) for table in section.tables] == [52, 44]
    assert "17 ethical approval" in section.text[1]
    assert "34 registration of a trial" in section.text[2]


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ({"answer": "{{ patient_count }}"}, "patient_count"),
        ({"answer": "Yes.", "where": ["nowhere"]}, "nowhere"),
        ({"answer": "{% if not simulated %}x{% endif %}"}, "neither an answer nor what is open"),
    ],
)
def test_a_checklist_with_a_fault_is_refused_by_item(tmp_path, item: dict[str, Any], words: str) -> None:
    path = tmp_path / "lists.yaml"
    texts = {"item": "7", "section": "s", "topic": "t", "asks": "a"}
    path.write_text(yaml.safe_dump([{"guideline": "G", "items": [texts | item]}]))
    with pytest.raises(IchflowError, match=f"G, item 7.*{words}"):
        checklists.fill(path, RUNS["phantom"])


def test_the_page_of_the_study_is_right_about_its_numbers() -> None:
    """Degrees of freedom are those whose p is the one told, and no others are."""
    assert round(2 * stats.t.sf(2.266, 18), 3) == 0.036
    fitting = [pair for pair in itertools.product((1, 2), range(3, 200)) if round(stats.f.sf(3.503, *pair), 3) == 0.053]
    assert fitting == [(2, 17)]
    assert round(stats.f.sf(3.503, 2, 27), 3) == 0.044
    assert (math.ceil(2235 / 10), math.ceil((2235 + 559) / 10)) == (224, 280)
    assert 2235 + 559 + 20 == 2814
    assert round(0.8 * (2814 - 20)) == 2235
    assert round(1 - 0.00084, 4) == 0.9992
    for words in (
        "18 degrees",
        "(2, 17)",
        "(2, 27)",
        "0.044",
        "224 steps",
        "2,235 + 559 + 20 = 2,814",
        "0.9992",
        "0.036",
    ):
        assert words in STUDY, words


def test_the_numbers_of_the_study_stand_beside_those_of_the_run() -> None:
    slices = make_tests(
        analysis="as in the study",
        statistic_name="t",
        comparison="predicted area, hemorrhage against none",
        baseline="",
        test="Student's t-test",
        statistic=2.08,
        df1=18.0,
        p=0.052,
        model="unet-small",
    )
    table = study.compared(RUNS["phantom"], slices)
    rows = {row[0].text: [cell.text for cell in row[1:]] for row in table.rows}
    assert rows["patients"] == ["82 announced, 75 published", "75"]
    assert rows["steps an epoch, unet-small"] == ["280 of 10 images", "151 of 10 images"]
    assert rows["pixel accuracy, null"] == ["0.9995", "0.99951"]
    named = "Student's t-test over slices, hemorrhage against none, unet-small"
    assert rows[named] == ["t = −2.266, p = 0.036", "t(18) = 2.08, p = 0.052"]


def test_every_place_that_the_page_of_the_study_names_is_there() -> None:
    titles = set(report.SECTIONS.values())
    for named in re.findall(r"\| sections? ([^|]*?)(?:, row [^|]*|, tests over slices)? \|", STUDY):
        assert {name for name in named.split(", ") if "`" not in name} <= titles, named
    for key in re.findall(r"`recipes\.([\w-]+)`", STUDY):
        assert key in PHANTOM["recipes"]


def test_keys_of_recipes_stand_side_by_side_and_idle_ones_are_told() -> None:
    recipes = PHANTOM["recipes"]
    table = page._parameters({model: recipes[model] for model in ("unet-2d", "unet-small")}).set_index("key")
    assert list(table.loc["stop_after"]) == ["10", "idle"]
    assert list(table.loc["positive_share"]) == ["null", "0.5"]
    assert list(table.loc["schedule"]) == ["halve", "cosine"]
    assert "file" not in table.index


def test_parts_are_described() -> None:
    inventory = pd.DataFrame(
        {
            "patient": ["049", "050", "051"],
            "slices": [30, 40, 50],
            "age_years": [10.0, 60.0, float("nan")],
            "sex": ["F", "M", None],
            "bleed_ml": [12.5, 0.0, 0.0],
            "subtypes": ["epidural+subdural", None, None],
        }
    )
    splits = pd.DataFrame(
        {
            "patient": ["049", "050", "051", "049"],
            "fold": [0, 0, 0, 1],
            "part": ["train", "train", "test", "test"],
            "has_hemorrhage": [True, False, False, True],
        }
    )
    table = characteristics.of_parts(inventory, splits)
    assert "of the first fold" in table.caption
    assert [column.name for column in table.columns] == ["characteristic", "train", "test"]
    rows = {row[0].text: [cell.text for cell in row[1:]] for row in table.rows}
    assert rows["patients"] == ["2", "1"]
    assert rows["slices"] == ["70", "50"]
    assert rows["age in years, median (range)"] == ["35.00 (10.00 to 60.00)", "–"]
    assert rows["female / male"] == ["1 / 1", "–"]
    assert rows["volume of hemorrhage in mL, median (range)"] == ["12.50 (12.50 to 12.50)", "–"]
    assert rows["epidural hemorrhage"] == ["1", "0"]


def test_a_config_has_one_checksum_whatever_the_order_of_its_keys() -> None:
    turned = dict(reversed(PHANTOM.items()))
    assert provenance.config_sha256(turned) == provenance.config_sha256(PHANTOM)
    assert provenance.config_sha256(REAL) != provenance.config_sha256(PHANTOM)


def test_limits_say_on_how_few_patients_claims_rest() -> None:
    told = report.limits({"n_patients": 20, "n_hemorrhage_patients": 10}, simulated=False)
    assert told[0].startswith("Not for clinical use")
    assert "Claims rest on 20 test patients, 10 of them with hemorrhage, and on fewer in each subgroup." in told
    assert not any("simulated" in sentence for sentence in told)
    assert "The scans are simulated." in report.limits(RUNS["given"]["tested"], simulated=True)
