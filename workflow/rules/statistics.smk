# Needs: metrics, inventory and splits. Makes: statistics/ with the dataset's counts, results by model, measure and
# group, a row a test, and results.md, which says it in sentences.


rule statistics:
    """Tests on the test patients, with effect sizes and intervals, by patients and as in the original study."""
    input:
        metrics="<results>/metrics.parquet",
        inventory="<results>/inventory.parquet",
    output:
        summary=report(
            "<results>/statistics/summary.csv",
            caption="../report/summary.rst",
            category="Results",
            labels={"table": "Results by model"},
        ),
        measures=report(
            "<results>/statistics/measures.csv",
            caption="../report/measures.rst",
            category="Results",
            labels={"table": "All measures"},
        ),
        subgroups=report(
            "<results>/statistics/subgroups.csv",
            caption="../report/subgroups.rst",
            category="Results",
            labels={"table": "Subgroups"},
        ),
        calibration=report(
            "<results>/statistics/calibration.csv",
            caption="../report/calibration.rst",
            category="Results",
            labels={"table": "Calibration"},
        ),
        tests=report(
            "<results>/statistics/tests.csv",
            caption="../report/tests.rst",
            category="Tests",
            labels={"table": "All tests"},
        ),
        assumptions=report(
            "<results>/statistics/assumptions.csv",
            caption="../report/assumptions.rst",
            category="Tests",
            labels={"table": "Assumptions"},
        ),
        agreement=report(
            "<results>/statistics/agreement.csv",
            caption="../report/agreement.rst",
            category="Results",
            labels={"table": "Agreement of volumes"},
        ),
        power=report(
            "<results>/statistics/power.csv",
            caption="../report/power.rst",
            category="Tests",
            labels={"table": "What this n could show"},
        ),
        results=report(
            "<results>/statistics/results.md",
            caption="../report/results.rst",
            category="Results",
            labels={"text": "Results in sentences"},
        ),
    log:
        "<logs>/statistics.log",
    conda:
        "../../envs/statistics.yaml"
    params:
        **named(
            contract=contracts.STATISTICS,
            sample=lookup(within=config, dpath="statistics/sample"),
            smallest_group=lookup(within=config, dpath="statistics/smallest_group"),
            equivalence_ml=lookup(within=config, dpath="statistics/equivalence_ml"),
            simulated_group=lookup(within=config, dpath="statistics/simulated_group"),
            resamples=lookup(within=config, dpath="statistics/resamples"),
            seed=lookup(within=config, dpath="statistics/seed"),
        ),
    message:
        "Test and estimate"
    script:
        "../../scripts/model_statistics.py"


rule dataset_statistics:
    """The counts that the original study reports, with the slices of each part."""
    input:
        inventory="<results>/inventory.parquet",
        splits="<results>/splits.parquet",
    output:
        report(
            "<results>/statistics/dataset.csv",
            caption="../report/dataset.rst",
            category="Dataset",
            labels={"table": "Counts"},
        ),
    log:
        "<logs>/dataset_statistics.log",
    conda:
        "../../envs/imaging.yaml"
    params:
        contract=contracts.INVENTORY,
    message:
        "Count patients and slices"
    script:
        "../../scripts/dataset_statistics.py"


rule threshold_statistics:
    """The original study's threshold beside the one that validation chose and the one that wrote the masks."""
    input:
        metrics="<results>/metrics.parquet",
    output:
        report(
            "<results>/statistics/thresholds.csv",
            caption="../report/thresholds.rst",
            category="Results",
            labels={"table": "By threshold"},
        ),
    log:
        "<logs>/threshold_statistics.log",
    conda:
        "../../envs/statistics.yaml"
    params:
        **named(
            contract=contracts.STATISTICS,
            resamples=lookup(within=config, dpath="statistics/resamples"),
            seed=lookup(within=config, dpath="statistics/seed"),
        ),
    message:
        "Compare thresholds"
    script:
        "../../scripts/threshold_statistics.py"
