# Needs: a dataset. Makes: verified/{patient}.json with every problem found and a picture beside it, dataset.json with what
# is wrong with the folder as a whole, the inventory, and its page.


rule verify:
    input:
        expand("<results>/verified/{patient}.json", patient=PATIENTS),
        "<results>/dataset.json",
        "<results>/inventory.parquet",
        "<results>/inventory.csv",
        "<results>/inventory.html",


rule verify_patient:
    """Checksums, headers, data, geometry, masks and labels of one patient, and a slice of it for the contact sheet."""
    input:
        volumes=patient_volumes,
        tables=dataset_tables,
    output:
        json="<results>/verified/{patient}.json",
        thumbnail="<results>/verified/{patient}.png",
    log:
        "<logs>/verify_patient/{patient}.log",
    benchmark:
        "<benchmarks>/verify_patient/{patient}.tsv"
    conda:
        "../../envs/imaging.yaml"
    params:
        source=INTAKE.description(),
        row=row_digest,
        contract=contracts.VERIFICATION,
        on_bad_patient=lookup(within=config, dpath="dataset/on_bad_patient"),
    message:
        "Verify patient {wildcards.patient}"
    script:
        "../../scripts/verify_patient.py"


rule verify_dataset:
    """The list of checksums, the tables, and files that belong to no patient."""
    input:
        dataset_tables,
    output:
        "<results>/dataset.json",
    log:
        "<logs>/verify_dataset.log",
    conda:
        "../../envs/imaging.yaml"
    params:
        source=INTAKE.description(),
        listing=INTAKE.listing(),
        patients=INTAKE.patients if config["dataset"]["labels"] else [],
        contract=contracts.VERIFICATION,
    message:
        "Verify the tables and the list of files"
    script:
        "../../scripts/verify_dataset.py"


rule inventory:
    """One row a patient: accepted or set aside, why, and what it has."""
    input:
        verified=expand("<results>/verified/{patient}.json", patient=PATIENTS),
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
    message:
        "List who is accepted and who is set aside"
    script:
        "../../scripts/inventory.py"


rule figure_inventory:
    """Distributions of slices, spacing, Hounsfield units and bleed volume."""
    input:
        inventory="<results>/inventory.parquet",
        verified=expand("<results>/verified/{patient}.json", patient=PATIENTS),
    output:
        report(
            "<results>/figures/inventory.png",
            caption="../report/distributions.rst",
            category="Dataset",
            labels={"figure": "Distributions"},
        ),
    log:
        "<logs>/figure_inventory.log",
    conda:
        "../../envs/report.yaml"
    params:
        contract=contracts.INVENTORY,
    message:
        "Draw the distributions of the dataset"
    script:
        "../../scripts/figure_inventory.py"


rule inventory_page:
    """One self-contained page of the dataset: who is accepted, why not, and a slice of everyone."""
    input:
        dataset="<results>/dataset.json",
        inventory="<results>/inventory.parquet",
        verified=expand("<results>/verified/{patient}.json", patient=PATIENTS),
        thumbnails=expand("<results>/verified/{patient}.png", patient=PATIENTS),
        figure=rules.figure_inventory.output[0],
    output:
        report(
            "<results>/inventory.html",
            caption="../report/inventory_page.rst",
            category="Dataset",
            labels={"page": "Contact sheet and findings"},
        ),
    log:
        "<logs>/inventory_page.log",
    conda:
        "../../envs/report.yaml"
    params:
        **named(
            contract=contracts.INVENTORY,
            template=digest("workflow/report/page.html.j2"),
            name=NAME,
            phantom=SOURCE == "phantom",
            edition=lookup(within=config, dpath="dataset/edition"),
            restricted=lookup(within=config, dpath="dataset/restricted"),
        ),
    message:
        "Write the page of the dataset: {output}"
    script:
        "../../scripts/inventory_page.py"
