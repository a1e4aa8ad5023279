# Needs: scans without truth and an exported model, --config scans=FOLDER model=FILE. Makes: results/new-scans/FOLDER/
# with a mask, probabilities and what verification found for each scan, and one table of them all.


rule predict_new:
    input:
        new_table,


rule convert_new:
    """One DICOM series to one scan; why there is none is written beside it."""
    input:
        series=new_series,
        mask=[],
    output:
        scan="results/<new>/converted/{scan}.nii.gz",
        note="results/<new>/converted/{scan}.json",
    log:
        "logs/<new>/convert_new/{scan}.log",
    conda:
        "../../envs/imaging.yaml"
    message:
        "Convert the DICOM series of scan {wildcards.scan}"
    script:
        "../../scripts/convert_dicom.py"


rule predict_scan:
    """Checks, probabilities and mask of one scan on its own grid."""
    input:
        scan=new_scan,
        models=NEW_MODELS,
    output:
        verification="results/<new>/{scan}.json",
        slices="results/<new>/{scan}.parquet",
        mask="results/<new>/{scan}_mask.nii.gz",
        probability="results/<new>/{scan}_probability.nii.gz",
    log:
        "logs/<new>/predict_scan/{scan}.log",
    benchmark:
        "benchmarks/<new>/predict_scan/{scan}.tsv"
    conda:
        "../../envs/prediction.yaml"
    threads: 2
    params:
        **named(
            contract=contracts.PREDICTION,
            precision=lookup(within=config, dpath="predict/precision"),
            size=lookup(within=config, dpath="slice/size"),
            on_bad_patient=lookup(within=config, dpath="dataset/on_bad_patient"),
        ),
    message:
        "Predict scan {wildcards.scan}"
    script:
        "../../scripts/predict_scan.py"


rule new_scans:
    """A row a scan, the likeliest hemorrhage first."""
    input:
        verifications=expand("results/<new>/{scan}.json", scan=SCANS),
        slices=expand("results/<new>/{scan}.parquet", scan=SCANS),
        masks=expand("results/<new>/{scan}_mask.nii.gz", scan=SCANS),
    output:
        "results/<new>/scans.csv",
    log:
        "logs/<new>/new_scans.log",
    conda:
        "../../envs/imaging.yaml"
    params:
        contract=contracts.PREDICTION,
    message:
        "List what was found in new scans: {output}"
    script:
        "../../scripts/new_scans.py"
