"""What the jobs of a cluster ask for, without a cluster."""

import re

import pytest
import yaml
import yte
from support import ROOT

SITE = {
    "every_job": {"slurm_partition": "light", "constraint": "fast"},
    "gpu_job": {"slurm_partition": "big", "gpu": 2},
}
GPU_RULES = {"train_fold", "ablate_variant", "benchmark_training"}


@pytest.fixture
def profile(tmp_path, monkeypatch):
    """Return the profile as Snakemake reads it, of a cluster with names of its own."""
    site = tmp_path / "site.yaml"
    site.write_text(yaml.safe_dump(SITE | {"options": {"precommand": "module load cuda"}}))
    monkeypatch.setenv("ICHFLOW_SITE", str(site))
    with (ROOT / "slurm/profile.yaml").open() as file:
        return yte.process_yaml(file, require_use_yte=True)


@pytest.fixture(scope="module")
def jobs():
    """Return the text of every rule that runs something, by name."""
    text = "".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    rules = {block.split(":")[0]: block for block in text.split("\nrule ")[1:]}
    return {name: block for name, block in rules.items() if "    script:" in block or "    shell:" in block}


def test_it_plans_the_default_run(fresh, monkeypatch):
    monkeypatch.setenv("ICHFLOW_SITE", str(ROOT / "slurm/site.yaml"))
    printed = fresh.snakemake("--dry-run", "--profile", str(ROOT / "slurm"))
    assert "Train unet-small" in printed


def test_75_patients_are_no_more_than_25_jobs_from_verify_to_statistics(fresh, monkeypatch):
    monkeypatch.setenv("ICHFLOW_SITE", str(ROOT / "slurm/site.yaml"))
    fresh.configure(phantom={"patients": 75})
    printed = fresh.snakemake("statistics", "--dry-run", "--profile", str(ROOT / "slurm"))
    counted = {rule: int(jobs) for rule, jobs in re.findall(r"^(\w+) +(\d+)$", printed, flags=re.MULTILINE)}
    assert counted["verify_patient"] == counted["evaluate_patient"] == 75
    profile = yte.process_yaml((ROOT / "slurm/profile.yaml").read_text(), require_use_yte=True)
    made = {rule: counted[rule] for rule in counted if rule not in ("total", "statistics", "phantom_patient")}
    size = {
        rule: profile["set-resources"].get(rule, {}).get("batch", profile["default-resources"]["batch"])
        for rule in made
    }
    # At most, since jobs of several rules may share one
    assert sum(-(-jobs // size[rule]) for rule, jobs in made.items()) <= 25


def test_all_that_differs_by_cluster_is_in_the_site_file(profile):
    assert profile["precommand"] == "module load cuda"
    assert profile["default-resources"]["constraint"] == "fast"
    asked = profile["set-resources"]
    assert {
        rule for rule, keys in asked.items() if keys.get("slurm_partition") == "big" and keys["gpu"] == 2
    } == GPU_RULES
    partitions = {keys["slurm_partition"] for keys in asked.values() if "slurm_partition" in keys}
    assert partitions == {"big"}
    assert profile["default-resources"]["slurm_partition"] == "light"


def test_each_attempt_asks_for_more_memory_and_time(profile):
    assert profile["retries"]
    asked = [profile["default-resources"], *profile["set-resources"].values()]
    grown = [value for keys in asked for key, value in keys.items() if key in ("mem_mb", "runtime")]
    assert len(grown) > len(asked)
    for value in grown:
        assert re.fullmatch(r"\d+ \* attempt", value)


def test_it_names_rules_that_there_are(profile, jobs):
    for part in ("set-resources", "set-threads"):
        assert set(profile[part]) <= set(jobs), part


def test_a_gpu_has_the_cores_that_feed_it(profile, jobs):
    for rule in GPU_RULES:
        own = re.search(r"\bthreads: (\d+)", jobs[rule])
        assert profile["set-threads"].get(rule, int(own[1])) >= 8, rule


def test_patients_share_jobs_and_trainings_do_not(profile):
    asked = profile["set-resources"]
    alone = {rule for rule, keys in asked.items() if keys.get("batch") == 1}
    assert alone >= GPU_RULES
    assert not any(rule.endswith(("_patient", "_scan")) for rule in alone)
    assert profile["default-resources"]["batch"] > 1
