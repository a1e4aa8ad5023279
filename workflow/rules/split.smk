# Needs: the inventory. Makes: splits.parquet, the part of every patient in every fold.


rule split:
    """By patient, stratified by hemorrhage, subtype and bleed volume; a leak between parts is an error."""
    input:
        "<results>/inventory.parquet",
    output:
        parquet="<results>/splits.parquet",
        csv=report(
            "<results>/splits.csv",
            caption="../report/splits.rst",
            category="Dataset",
            labels={"table": "Part of each patient"},
        ),
    log:
        "<logs>/split.log",
    conda:
        "../../envs/imaging.yaml"
    params:
        **named(
            contract=contracts.SPLIT,
            folds=lookup(within=config, dpath="split/folds"),
            test_share=lookup(within=config, dpath="split/test_share"),
            validation_share=lookup(within=config, dpath="split/validation_share"),
            seed=lookup(within=config, dpath="split/seed"),
        ),
    message:
        "Split the patients into parts"
    script:
        "../../scripts/split.py"
