# Needs: a dataset folder. Makes: verified/{patient}.json with every problem found, and the inventory.


rule verify:
    input:
        expand("<results>/verified/{patient}.json", patient=PATIENTS),
        "<results>/inventory.parquet",
        "<results>/inventory.csv",


rule verify_patient:
    """Checksums, headers, data, geometry, masks and labels of one patient."""
    input:
        volumes=patient_volumes,
        tables=dataset_tables,
    output:
        "<results>/verified/{patient}.json",
    log:
        "<logs>/verify_patient/{patient}.log",
    benchmark:
        "<benchmarks>/verify_patient/{patient}.tsv"
    conda:
        "../../envs/imaging.yaml"
    params:
        folder=FOLDER,
        contract=contracts.VERIFICATION,
        on_bad_patient=lookup(within=config, dpath="dataset/on_bad_patient"),
    message:
        "Verify patient {wildcards.patient}"
    script:
        "../../scripts/verify_patient.py"


rule inventory:
    """One row a patient: accepted or set aside, why, and what it has."""
    input:
        verified=expand("<results>/verified/{patient}.json", patient=PATIENTS),
        tables=dataset_tables,
    output:
        parquet="<results>/inventory.parquet",
        csv=report(
            "<results>/inventory.csv",
            caption="../report/inventory.rst",
            category="Dataset",
            labels={"table": "Patients, accepted and set aside"},
        ),
    log:
        "<logs>/inventory.log",
    conda:
        "../../envs/imaging.yaml"
    params:
        contract=contracts.INVENTORY,
        folder=FOLDER,
    message:
        "List who is accepted and who is set aside"
    script:
        "../../scripts/inventory.py"
