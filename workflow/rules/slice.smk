# Needs: verified patients. Makes: shards/{patient}.parquet and its small digest, which is what later stages watch.


rule slice:
    input:
        expand(
            "<results>/shards/{patient}.{kind}",
            patient=PATIENTS,
            kind=["parquet", "sha256"],
        ),


rule slice_patient:
    """One patient to one Parquet shard; without rows where the patient was set aside."""
    input:
        verified="<results>/verified/{patient}.json",
        volumes=patient_volumes,
    output:
        shard="<results>/shards/{patient}.parquet",
        digest="<results>/shards/{patient}.sha256",
    log:
        "<logs>/slice_patient/{patient}.log",
    benchmark:
        "<benchmarks>/slice_patient/{patient}.tsv"
    conda:
        "../../envs/imaging.yaml"
    params:
        contract=contracts.SHARD,
        size=lookup(within=config, dpath="slice/size"),
    message:
        "Slice patient {wildcards.patient}"
    script:
        "../../scripts/slice_patient.py"
