# Needs: nothing. Makes: the phantom, a folder in the layout of CT-ICH 1.3.1, and its truth beside it.


rule phantom_patient:
    """One generated patient: scan, mask, exact truth, and what the tables will say of it."""
    output:
        scan="<resources>/ct-ich-layout/ct_scans/{patient}.nii",
        mask="<resources>/ct-ich-layout/masks/{patient}.nii",
        label_map="<resources>/truth/{patient}.nii.gz",
        facts="<resources>/truth/{patient}.json",
    log:
        "<logs>/phantom_patient/{patient}.log",
    benchmark:
        "<benchmarks>/phantom_patient/{patient}.tsv"
    conda:
        "../../envs/imaging.yaml"
    params:
        **named(
            contract=contracts.PHANTOM,
            hemorrhage_share=lookup(within=config, dpath="phantom/hemorrhage_share"),
            size=lookup(within=config, dpath="phantom/size"),
            seed=lookup(within=config, dpath="phantom/seed"),
        ),
    message:
        "Make patient {wildcards.patient} of the phantom"
    script:
        "../../scripts/phantom_patient.py"


rule phantom_tables:
    """The tables, checksums and accompanying files of the generated dataset."""
    input:
        expand("<resources>/truth/{patient}.json", patient=PATIENTS),
    output:
        [f"<resources>/ct-ich-layout/{name}" for name in ctich.TABLES],
    log:
        "<logs>/phantom_tables.log",
    conda:
        "../../envs/imaging.yaml"
    params:
        contract=contracts.PHANTOM,
    message:
        "Write the tables and checksums of the phantom"
    script:
        "../../scripts/phantom_tables.py"
