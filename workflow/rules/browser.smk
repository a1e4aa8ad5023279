# Needs: the inventory, shards, predicted masks and metrics. Makes: browser/index.html, a page to look at every patient
# with, and beside it NiiVue, which draws, and cases/{patient}.js.


rule browse_patient:
    """Scan, truth and predictions of one patient, small enough to be looked at."""
    input:
        shard=ancient("<results>/shards/{patient}.parquet"),
        digest="<results>/shards/{patient}.sha256",
        masks=expand(
            "<results>/predictions/{model}/{{patient}}_mask.nii.gz", model=MODELS
        ),
    output:
        "<results>/browser/cases/{patient}.js",
    log:
        "<logs>/browse_patient/{patient}.log",
    benchmark:
        "<benchmarks>/browse_patient/{patient}.tsv"
    conda:
        "../../envs/imaging.yaml"
    params:
        contract=contracts.BROWSER,
        models=MODELS,
        threshold_hu=lookup(within=config, dpath="evaluate/threshold_hu"),
    message:
        "Prepare patient {wildcards.patient} for the browser"
    script:
        "../../scripts/browse_patient.py"


rule browser:
    """The page, with the list of all patients in it."""
    input:
        inventory="<results>/inventory.parquet",
        metrics="<results>/metrics.parquet",
        cases=expand("<results>/browser/cases/{patient}.js", patient=PATIENTS),
    output:
        page="<results>/browser/index.html",
        niivue="<results>/browser/niivue.js",
        license="<results>/browser/LICENSE-niivue.txt",
    log:
        "<logs>/browser.log",
    conda:
        "../../envs/report.yaml"
    params:
        **named(
            contract=contracts.BROWSER,
            templates=digest(
                "workflow/report/browser.html.j2",
                "workflow/report/browser.css",
                "workflow/report/browser.js",
            ),
            name=NAME,
            phantom=SOURCE == "phantom",
            restricted=lookup(within=config, dpath="dataset/restricted"),
            models=MODELS,
        ),
    message:
        "Write the case browser: {output.page}"
    script:
        "../../scripts/browser.py"
