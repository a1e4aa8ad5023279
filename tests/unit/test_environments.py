"""One place for versions: requirements.txt. Everything else that names one agrees with it."""

import re
import tomllib

import pytest
import yaml
from support import ROOT


def pins(lines):
    found = {}
    for line in lines:
        if match := re.match(r"([A-Za-z0-9_.-]+)(?:\[[^]]*\])?==(\S+)", line.strip()):
            found[match[1].lower().replace("_", "-")] = match[2]
    return found


REQUIRED = pins((ROOT / "requirements.txt").read_text().splitlines())


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt", "requirements-gpu.txt"])
def test_every_requirement_is_pinned_and_no_index_is_named(name):
    text = (ROOT / name).read_text()
    for line in text.splitlines():
        assert not line.strip() or line.startswith(("#", "-r ", "-e ./")) or "==" in line, line
    assert "://" not in text


@pytest.mark.parametrize("path", sorted((ROOT / "envs").glob("*.yaml")), ids=lambda path: path.stem)
def test_conda_files_have_the_same_pins(path):
    dependencies = yaml.safe_load(path.read_text())["dependencies"]
    inner = next(entry["pip"] for entry in dependencies if isinstance(entry, dict))
    found = pins(inner)
    assert len(found) == len(inner) > 0
    assert {name: REQUIRED.get(name) for name in found} == found


def test_the_gpu_extra_has_the_same_tensorflow_and_the_onnx_runtime_that_is_tested():
    tested = pins((ROOT / "requirements-dev.txt").read_text().splitlines())["onnxruntime"]
    expected = {"tensorflow": REQUIRED["tensorflow"], "onnxruntime-gpu": tested}
    assert pins((ROOT / "requirements-gpu.txt").read_text().splitlines()) == expected


def test_the_executor_is_built_on_the_pinned_one():
    found = tomllib.loads((ROOT / "slurm/executor/pyproject.toml").read_text())["project"]["dependencies"]
    name = "snakemake-executor-plugin-slurm"
    assert pins(found) == {name: REQUIRED[name]}


def test_the_container_has_the_same_pins():
    """It installs requirements.txt, from where the paths in it lead, on a Python that the conda files have as well."""
    text = (ROOT / "envs/ichflow.def").read_text()
    copied = re.search(r"%files\n((?:\s+\S+ \S+\n)+)", text)
    assert copied
    folder = "/opt/ichflow"
    assert dict(line.split() for line in copied[1].splitlines()) == {
        "requirements.txt": f"{folder}/requirements.txt",
        "slurm/executor": f"{folder}/slurm/executor",
    }
    installed = re.findall(r"(.*)(?:pip|apt|apt-get|conda) install (.*)", text)
    assert installed == [(f"    cd {folder} && ", "--no-cache-dir --requirement requirements.txt")]
    python = re.search(r"^From: python:([\d.]+)-", text, flags=re.MULTILINE)
    for path in (ROOT / "envs").glob("*.yaml"):
        assert f"python={python[1]}" in yaml.safe_load(path.read_text())["dependencies"]


def test_every_conda_file_is_used_and_every_one_used_exists():
    rules = "".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    used = set(re.findall(r"envs/(\w+)\.yaml", rules))
    assert used == {path.stem for path in (ROOT / "envs").glob("*.yaml")}


def test_an_environment_has_what_its_scripts_import():
    """Follow the imports of each script through the library, function bodies aside, and hold them against its file."""
    packages = {
        "surface_distance": "surface-distance",
        "cv2": "opencv-python-headless",
        "yaml": "pyyaml",
        "PIL": "pillow",
        "markdown_it": "markdown-it-py",
    }
    standard = __import__("sys").stdlib_module_names
    rules = "".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    for environment, script in re.findall(r"envs/(\w+)\.yaml.*?scripts/(\w+)\.py", rules, flags=re.DOTALL):
        dependencies = yaml.safe_load((ROOT / f"envs/{environment}.yaml").read_text())["dependencies"]
        available = set(pins(next(entry["pip"] for entry in dependencies if isinstance(entry, dict))))
        needed = {packages.get(name, name) for name in imported(ROOT / f"scripts/{script}.py") if name not in standard}
        assert needed <= available, f"{script} in {environment}: {needed - available} missing"


def imported(script):
    modules, seen, todo = set(), set(), [script]
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        for line in path.read_text().splitlines():
            inner = r"\s*" if path == script else ""
            match = re.match(inner + r"(?:from\s+([\w.]+)\s+import\s+(.+)|import\s+([\w.]+))", line)
            if not match:
                continue
            module, names = match[1] or match[3], match[2] or ""
            if module.split(".")[0] != "ichflow":
                modules.add(module.split(".")[0])
                continue
            parts = [module, *(f"{module}.{name.strip()}" for name in names.split(","))]
            for part in parts:
                file = ROOT / "scripts" / (part.replace(".", "/") + ".py")
                if file.is_file():
                    todo.append(file)
    return modules
