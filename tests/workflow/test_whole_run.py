"""The whole workflow on a tiny phantom, and what it leaves behind."""

import csv
import json
import re
import subprocess
import sys
import zipfile

import nibabel as nib
import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from jsonschema import Draft202012Validator
from support import ROOT

PATIENTS = [*range(49, 59), 66, 67]
SCANS = "resources/phantom/ct-ich-layout/ct_scans"


def rows_of(path, schema=None):
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    schema = yaml.safe_load((ROOT / f"workflow/schemas/{schema or path.stem}.schema.yaml").read_text())["properties"]
    with path.open(newline="", encoding="utf-8") as file:
        return [{key: typed(value, schema[key]["type"]) for key, value in row.items()} for row in csv.DictReader(file)]


def typed(text, types):
    if "string" in types and (text or "null" not in types):
        return text
    if not text:
        return None
    return {"True": True, "False": False}.get(text) if "boolean" in types else json.loads(text)


ABLATION = ("ablation", "ablation/table.csv")
TABLES = [
    ("inventory", "inventory.parquet"),
    ("inventory", "inventory.csv"),
    ("splits", "splits.parquet"),
    ("splits", "splits.csv"),
    ("shard", "shards/049.parquet"),
    ("history", "models/unet-small/fold-0/history.csv"),
    ("prediction", "predictions/unet-small/049.parquet"),
    ("metrics", "metrics/049.parquet"),
    ("metrics", "metrics.parquet"),
    ("summary", "statistics/summary.csv"),
    ("measures", "statistics/measures.csv"),
    ("measures", "statistics/subgroups.csv"),
    ("calibration", "statistics/calibration.csv"),
    ("thresholds", "statistics/thresholds.csv"),
    ("tests", "statistics/tests.csv"),
    ("assumptions", "statistics/assumptions.csv"),
    ("agreement", "statistics/agreement.csv"),
    ("power", "statistics/power.csv"),
    ("dataset", "statistics/dataset.csv"),
    ("checklist", "checklist.csv"),
]


@pytest.mark.parametrize(("schema", "path"), TABLES, ids=[path for _, path in TABLES])
def test_every_table_keeps_its_schema(finished, schema, path):
    hold(schema, rows_of(finished.result(path), schema))


def hold(schema, rows):
    content = yaml.safe_load((ROOT / f"workflow/schemas/{schema}.schema.yaml").read_text())
    Draft202012Validator.check_schema(content)
    assert rows
    assert list(rows[0]) == list(content["properties"])
    validator = Draft202012Validator(content)
    for row in rows:
        plain = {key: value.hex() if isinstance(value, bytes) else value for key, value in row.items()}
        validator.validate(plain)


def test_every_table_schema_is_held():
    schemas = {path.name.split(".")[0] for path in (ROOT / "workflow/schemas").glob("*.yaml")}
    assert schemas - {"config", "sheet", "labels", "new_scans"} == {schema for schema, _ in [*TABLES, ABLATION]}


def test_every_job_leaves_its_log_where_the_rule_name_says(finished):
    logs = finished.path("logs", "phantom")
    for rule in ("phantom_patient", "verify_patient", "slice_patient", "evaluate_patient"):
        assert {int(path.stem) for path in (logs / rule).iterdir()} == set(PATIENTS)
    for rule in ("inventory", "split", "statistics", "report"):
        assert (logs / f"{rule}.log").is_file()


def test_predictions_lie_over_the_original_scan(finished):
    scan = nib.load(finished.path(SCANS, "049.nii"))
    for kind in ("mask", "probability"):
        found = nib.load(finished.result(f"predictions/unet-small/049_{kind}.nii.gz"))
        assert found.shape == scan.shape
        np.testing.assert_allclose(found.affine, scan.affine)
        assert found.get_data_dtype() == np.uint8
        assert 0 <= found.get_fdata().min() <= found.get_fdata().max() <= 1


def test_the_null_model_stands_beside_every_model(finished):
    rows = rows_of(finished.result("metrics.parquet"))
    by_model = {model: [row for row in rows if row["model"] == model] for model in ("null", "threshold", "unet-small")}
    assert len({len(group) for group in by_model.values()}) == 1
    assert sum(map(len, by_model.values())) == len(rows)
    assert all(row["predicted_px"] == 0 for row in by_model["null"])


def test_scans_and_shards_are_the_same_bytes_when_made_again(copied, finished):
    patients = ("049", "050")
    for patient in patients:
        for path in (copied.path(SCANS, f"{patient}.nii"), *copied.result("shards").glob(f"{patient}.*")):
            path.unlink()
    copied.snakemake("slice")
    for patient in patients:
        for made, expected in (
            (copied.path(SCANS, f"{patient}.nii"), finished.path(SCANS, f"{patient}.nii")),
            (copied.result(f"shards/{patient}.parquet"), finished.result(f"shards/{patient}.parquet")),
        ):
            assert made.read_bytes() == expected.read_bytes(), made


def test_the_report_is_one_page_without_a_request(finished):
    page = finished.result("report.html").read_text(encoding="utf-8")
    assert "Not for clinical use" in page
    assert "This run made nothing" not in page
    assert "content=\"default-src 'none'; img-src data:;" in page
    for word in ("unet-small", "null", "threshold", "Pixel accuracy"):
        assert word in page
    assert 'src="http' not in page
    assert not re.search(r'<(?!a\b)[^>]* href="http', page)  # a reader may follow a link
    assert finished.result("methods.md").read_text(encoding="utf-8").startswith("# Methods\n\n## Data\n")


PICTURES = ("heatmap", "attention", "rendering", "montage")


def test_every_patient_can_be_drawn_and_a_run_draws_some(copied):
    shown = {path.name for path in copied.result("figures/cases/unet-small").iterdir()}
    assert shown == {f"{case}-{name}.png" for case in ("best", "median", "worst", "false-alarm") for name in PICTURES}
    assert not copied.result("cases").exists()
    assert copied.planned("cases") == {"cases": 1, "draw_case": len(PATIENTS), "total": len(PATIENTS) + 1}
    copied.snakemake("results/phantom/cases/unet-small/049-rendering.png")
    made = {path.name for path in copied.result("cases/unet-small").iterdir()}
    assert made == {f"049-{name}.png" for name in PICTURES}


def test_the_model_carries_where_it_comes_from(finished):
    facts = json.loads(finished.result("models/unet-small/fold-0/provenance.json").read_text())
    parts = facts["patients"]
    told = (finished.folder / "logs/phantom/train_fold/unet-small-fold-0.log").read_text(encoding="utf-8")
    assert len(parts["train"]) != len(parts["validation"])  # or the log would not tell which was trained on
    assert f" slices of {len(parts['train'])} patients" in re.search(r"training: .*", told)[0]
    assert f" slices of {len(parts['validation'])} patients" in re.search(r"validation: .*", told)[0]
    assert len(parts["train"]) + len(parts["validation"]) + len(parts["test"]) == len(PATIENTS)
    assert set(facts["shards"]) == set(parts["train"]) | set(parts["validation"])
    for patient, digest in facts["shards"].items():
        assert finished.result(f"shards/{patient}.sha256").read_text().split()[0] == digest
    assert set(facts["sources"]) == set(facts["shards"])
    assert all({"scan", "mask"} <= set(hashes) for hashes in facts["sources"].values())
    assert facts["recipe"]["filters"] == 2
    assert facts["recipe"]["seed"] == 1
    assert (facts["model"], facts["fold"]) == ("unet-small", 0)
    assert 1 <= facts["best_epoch"] <= facts["epochs"]
    assert 0 < facts["threshold"]["used"] < 1
    assert facts["seconds"] > 0
    assert {"Python", "keras", "tensorflow", "albumentations", "opencv-python-headless", "numpy"} == set(
        facts["versions"]
    )
    (machine,) = facts["machines"]
    about = {"from_epoch", "processor", "cores", "memory_gb", "accelerators", "devices", "precision", "threads"}
    assert about == set(machine)


LIGHT = "checks slicing splits inventory prediction evaluation phantom.layout"


@pytest.mark.parametrize(
    ("modules", "heavy"),
    [
        (LIGHT, "tensorflow keras pingouin sklearn albumentations matplotlib pandas"),
        ("figures gallery page networks", "tensorflow keras pingouin sklearn albumentations"),
    ],
)
def test_stages_import_nothing_heavy_that_they_do_not_use(modules, heavy):
    """TensorFlow would cost each job ten seconds, pingouin five, Albumentations one."""
    code = f"import sys; sys.path.append({str(ROOT / 'scripts')!r})\n"
    code += "".join(f"import ichflow.{module}\n" for module in modules.split())
    code += f"print([name for name in {heavy.split()!r} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


@pytest.fixture(scope="module")
def snakemake_report(finished, tmp_path_factory):
    """Snakemake's own report of the run: its page, and what the page knows of each file."""
    path = tmp_path_factory.mktemp("report") / "report.zip"
    finished.snakemake("--report", str(path))
    with zipfile.ZipFile(path) as archive:
        page = archive.read("report/report.html").decode()
    decode = json.JSONDecoder().raw_decode
    results, categories = (
        decode(page, re.search(rf"var {name} = (?={{)", page).end())[0] for name in ("results", "categories")
    )
    return page, results, categories


def test_snakemake_report_needs_no_network_and_says_what_it_is_not_for(snakemake_report):
    page, _, _ = snakemake_report
    assert "Not for clinical use" in page
    assert "Do not share" not in page
    assert not re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="https?://', page)


def test_snakemake_report_has_every_figure_and_table_with_caption_category_and_labels(finished, snakemake_report):
    _, results, categories = snakemake_report
    looked_at = [path for folder in ("figures", "statistics") for path in finished.result(folder).rglob("*")]
    looked_at = [path for path in looked_at if path.is_file()]
    looked_at += [finished.result(name) for name in ("report.html", "methods.md", "checklist.csv", "config.yaml")]
    looked_at += [finished.result(name) for name in ("inventory.html", "inventory.csv", "splits.csv")]
    assert {str(path.relative_to(finished.folder)) for path in looked_at} <= set(results)
    for path, about in results.items():
        assert re.sub(r"<[^>]+>|\s", "", about["caption"]), path
        assert "system-message" not in about["caption"], path  # what docutils says of a caption with a fault
        assert about["labels"], path
    assert {"Dataset", "Training", "Results", "Cases", "Tests", "Rules", "Report"} <= set(categories)
    assert "Other" not in categories  # where Snakemake puts what has no category
    assert {path for part in categories.values() for paths in part.values() for path in paths} == set(results)


def test_the_config_beside_the_report_makes_the_same_run_again(finished):
    printed = finished.snakemake("--configfile", str(finished.result("config.yaml")))
    assert "Nothing to be done" in printed


def test_the_ablation_trains_each_variant_with_each_seed_and_nothing_else(copied):
    copied.configure(ablation={"seeds": [1, 2], "choices": {"positive_share": [None]}})
    planned = copied.planned("ablation")
    assert planned == {"ablate_variant": 4, "ablation": 1, "ablation_table": 1, "total": 6}
    copied.snakemake("ablation")
    schema, path = ABLATION
    rows = rows_of(copied.result(path), schema)
    hold(schema, rows)
    assert [(row["variant"], row["value"]) for row in rows] == [("base", ""), ("positive_share-1", "null")]
    assert not list(copied.result("resume").iterdir())
    tested = {row["patient"] for row in rows_of(copied.result("splits.parquet")) if row["part"] == "test"}
    measured = [rows_of(copied.result(f"ablation/base-seed-{seed}.parquet")) for seed in (1, 2)]
    for rows in measured:
        assert {row["patient"] for row in rows} == tested
    assert measured[0] != measured[1]  # two trainings
    assert "Nothing to be done" in copied.snakemake("ablation")
    copied.configure(ablation={"seeds": [1, 2], "choices": {"windows": [["bone"]], "positive_share": [None]}})
    assert copied.planned("ablation")["ablate_variant"] == 2
    copied.configure(ablation={"seeds": [1, 2], "choices": {"positive_share": [0.3]}})
    assert copied.planned("ablation")["ablate_variant"] == 2


def test_an_ablation_that_cannot_be_is_refused_before_any_job(fresh):
    fresh.configure(ablation={"choices": {"window": [["brain"]], "levels": [9], "loss": ["mse"]}})
    printed = fresh.snakemake("ablation", check=False)
    assert "ablation.choices: 'window' is no choice of a recipe; did you mean 'windows'?" in printed
    assert "expected a multiple of 512 for 9 levels" in printed
    assert "ablation.choices.loss: 'mse' is not one of" in printed
    fresh.configure(ablation={"choices": {}})
    assert "ablation.choices: nothing found, expected keys" in fresh.snakemake("ablation", "--dry-run", check=False)


def test_how_to_start_with_very_many_patients_is_told(fresh):
    fresh.configure(phantom={"patients": 501})
    assert "501 patients: " in fresh.snakemake("preflight", "--dry-run")
    fresh.configure(phantom={"patients": 500})
    assert "500 patients: " not in fresh.snakemake("preflight", "--dry-run")
