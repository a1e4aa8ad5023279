# Needs: the zip of a dataset in the layout of CT-ICH. Makes: its files, each unpacked once.

ZIPPED = INTAKE.wanted(PATIENTS)


rule unzip:
    """Scans, masks and tables of the chosen patients."""
    input:
        config["dataset"]["zip"],
    output:
        [f"{INTAKE.folder}/{name}" for name in ZIPPED],
    log:
        "<logs>/unzip.log",
    conda:
        "../../envs/imaging.yaml"
    params:
        names=ZIPPED,
    message:
        "Unpack {input}"
    script:
        "../../scripts/unzip.py"
