# Needs: shards, splits and exported models. Makes: predictions/{model}/{patient}: a row a slice, and mask and
# probability on the original grid. A patient is predicted by the fold that did not see it.


rule predict:
    input:
        expand(
            "<results>/predictions/{model}/{patient}.parquet",
            model=MODELS,
            patient=PATIENTS,
        ),


rule predict_patient:
    """Probabilities and masks of one patient on the original grid."""
    input:
        shard=ancient("<results>/shards/{patient}.parquet"),
        digest="<results>/shards/{patient}.sha256",
        splits="<results>/splits.parquet",
        models=model_files,
    output:
        slices="<results>/predictions/{model}/{patient}.parquet",
        mask="<results>/predictions/{model}/{patient}_mask.nii.gz",
        probability="<results>/predictions/{model}/{patient}_probability.nii.gz",
    log:
        "<logs>/predict_patient/{model}-{patient}.log",
    benchmark:
        "<benchmarks>/predict_patient/{model}-{patient}.tsv"
    conda:
        "../../envs/prediction.yaml"
    threads: 2
    params:
        trained=is_trained,
        contract=contracts.PREDICTION,
        precision=lookup(within=config, dpath="predict/precision"),
    message:
        "Predict patient {wildcards.patient} with {wildcards.model}"
    script:
        "../../scripts/predict_patient.py"
