# Needs: an account at PhysioNet and the signed agreement. Makes: the dataset's files, each as its list of checksums says.

NAMES = INTAKE.wanted(PATIENTS)


# Nodes of a cluster rarely reach the Internet, and the password is known where Snakemake runs
localrules:
    download,


rule download:
    """Scans, masks and tables of the chosen patients; what arrived stays in a folder of its own, so that it can go on."""
    output:
        [f"{INTAKE.folder}/{name}" for name in NAMES],
    log:
        "<logs>/download.log",
    conda:
        "../../envs/imaging.yaml"
    params:
        url=lookup(within=config, dpath="dataset/url"),
        arrived=f"resources/{NAME}/download",
        names=NAMES,
        patients=PATIENTS,
    message:
        "Download from {params.url} (progress in {log})"
    script:
        "../../scripts/download.py"
