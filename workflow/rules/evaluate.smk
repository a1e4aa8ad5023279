# Needs: predictions, shards and the original masks. Makes: metrics/{patient}.parquet, all models at once, with the
# baselines that have no weights, and metrics.parquet.


rule evaluate:
    input:
        "<results>/metrics.parquet",


rule evaluate_patient:
    """Every model and baseline on one patient, on the original grid: a row a slice and a row a patient."""
    input:
        shard=ancient("<results>/shards/{patient}.parquet"),
        digest="<results>/shards/{patient}.sha256",
        splits="<results>/splits.parquet",
        volumes=patient_volumes,
        slices=expand("<results>/predictions/{model}/{{patient}}.parquet", model=MODELS),
        masks=expand(
            "<results>/predictions/{model}/{{patient}}_mask.nii.gz", model=MODELS
        ),
        probabilities=expand(
            "<results>/predictions/{model}/{{patient}}_probability.nii.gz",
            model=MODELS,
        ),
    output:
        "<results>/metrics/{patient}.parquet",
    log:
        "<logs>/evaluate_patient/{patient}.log",
    benchmark:
        "<benchmarks>/evaluate_patient/{patient}.tsv"
    conda:
        "../../envs/imaging.yaml"
    params:
        contract=contracts.METRICS,
        models=MODELS,
        threshold_hu=lookup(within=config, dpath="evaluate/threshold_hu"),
    message:
        "Measure patient {wildcards.patient}"
    script:
        "../../scripts/evaluate_patient.py"


rule collect_metrics:
    """All patients' metrics in one table."""
    input:
        expand("<results>/metrics/{patient}.parquet", patient=PATIENTS),
    output:
        "<results>/metrics.parquet",
    log:
        "<logs>/collect_metrics.log",
    conda:
        "../../envs/imaging.yaml"
    params:
        contract=contracts.METRICS,
    message:
        "Collect all patients' metrics"
    script:
        "../../scripts/collect_metrics.py"
