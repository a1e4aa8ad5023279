# Needs: everything before. Makes: figures/ and report.html, the page that a person opens; beside it methods.md,
# checklist.csv and config.yaml, with which the run can be made again.


report: "../report/workflow.rst"


rule figure_samples:
    """Sample slices, the bone window, and what augmentation makes of a slice."""
    input:
        shards=ancient(expand("<results>/shards/{patient}.parquet", patient=PATIENTS)),
        digests=expand("<results>/shards/{patient}.sha256", patient=PATIENTS),
    output:
        samples=report(
            "<results>/figures/samples.png",
            caption="../report/samples.rst",
            category="Dataset",
            labels={"figure": "Sample slices"},
        ),
        bone=report(
            "<results>/figures/bone.png",
            caption="../report/bone.rst",
            category="Dataset",
            labels={"figure": "Bone window"},
        ),
        augmentation=report(
            "<results>/figures/augmentation.png",
            caption="../report/augmentation.rst",
            category="Training",
            labels={"figure": "Augmentation"},
        ),
    log:
        "<logs>/figure_samples.log",
    conda:
        "../../envs/report.yaml"
    params:
        contract=contracts.REPORT,
        recipe=first_recipe,
    message:
        "Draw sample slices"
    script:
        "../../scripts/figure_samples.py"


rule figure_network:
    """The layers of a recipe."""
    output:
        report(
            "<results>/figures/network-{model}.svg",
            caption="../report/network.rst",
            category="Training",
            labels={"figure": "Network", "model": "{model}"},
        ),
    log:
        "<logs>/figure_network/{model}.log",
    conda:
        "../../envs/report.yaml"
    params:
        contract=contracts.REPORT,
        recipe=recipe,
    message:
        "Draw the network of {wildcards.model}"
    script:
        "../../scripts/figure_network.py"


rule figure_curves:
    """Loss, Dice and learning rate by epoch, all folds of a model."""
    input:
        histories=expand(
            "<results>/models/{{model}}/fold-{fold}/history.csv", fold=FOLDS
        ),
        provenance=expand(
            "<results>/models/{{model}}/fold-{fold}/provenance.json", fold=FOLDS
        ),
    output:
        report(
            "<results>/figures/curves-{model}.png",
            caption="../report/curves.rst",
            category="Training",
            labels={"figure": "Curves", "model": "{model}"},
        ),
    log:
        "<logs>/figure_curves/{model}.log",
    conda:
        "../../envs/report.yaml"
    params:
        contract=contracts.REPORT,
    message:
        "Draw the training curves of {wildcards.model}"
    script:
        "../../scripts/figure_curves.py"


rule figure_overlays:
    """Truth and prediction over the slices of some test patients."""
    input:
        metrics="<results>/metrics.parquet",
        shards=ancient(expand("<results>/shards/{patient}.parquet", patient=PATIENTS)),
        masks=expand(
            "<results>/predictions/{{model}}/{patient}_mask.nii.gz", patient=PATIENTS
        ),
    output:
        report(
            "<results>/figures/overlays-{model}.png",
            caption="../report/overlays.rst",
            category="Results",
            labels={"figure": "Overlays", "model": "{model}"},
        ),
    log:
        "<logs>/figure_overlays/{model}.log",
    conda:
        "../../envs/report.yaml"
    params:
        contract=contracts.REPORT,
        patients=PATIENTS,
    message:
        "Draw the predictions of {wildcards.model}"
    script:
        "../../scripts/figure_overlays.py"


rule figure_results:
    """Dice by model, reliability, predicted areas by group, agreement of volumes, and differences of models."""
    input:
        metrics="<results>/metrics.parquet",
        calibration=rules.statistics.output.calibration,
        agreement=rules.statistics.output.agreement,
        tests=rules.statistics.output.tests,
    output:
        dice=report(
            "<results>/figures/dice.png",
            caption="../report/dice.rst",
            category="Results",
            labels={"figure": "Dice by model"},
        ),
        reliability=report(
            "<results>/figures/reliability.png",
            caption="../report/calibration.rst",
            category="Results",
            labels={"figure": "Calibration"},
        ),
        areas=report(
            "<results>/figures/areas.png",
            caption="../report/areas.rst",
            category="Tests",
            labels={"figure": "Predicted areas"},
        ),
        agreement=report(
            "<results>/figures/agreement.png",
            caption="../report/bland_altman.rst",
            category="Results",
            labels={"figure": "Agreement of volumes"},
        ),
        differences=report(
            "<results>/figures/differences.png",
            caption="../report/differences.rst",
            category="Results",
            labels={"figure": "Models against each other"},
        ),
    log:
        "<logs>/figure_results.log",
    conda:
        "../../envs/report.yaml"
    params:
        **named(
            contract=contracts.REPORT,
            models=MODELS,
            sample=lookup(within=config, dpath="statistics/sample"),
            seed=lookup(within=config, dpath="statistics/seed"),
        ),
    message:
        "Draw Dice, reliability, areas, agreement and differences"
    script:
        "../../scripts/figure_results.py"


rule figure_thresholds:
    """Dice at every threshold, on validation and on test patients."""
    input:
        metrics="<results>/metrics.parquet",
        provenance=expand(
            "<results>/models/{model}/fold-{fold}/provenance.json",
            model=TRAINED,
            fold=FOLDS,
        ),
    output:
        report(
            "<results>/figures/thresholds.png",
            caption="../report/thresholds.rst",
            category="Results",
            labels={"figure": "Dice by threshold"},
        ),
    log:
        "<logs>/figure_thresholds.log",
    conda:
        "../../envs/report.yaml"
    params:
        **named(
            contract=contracts.REPORT,
            models=MODELS,
            seed=lookup(within=config, dpath="statistics/seed"),
        ),
    message:
        "Draw Dice by threshold"
    script:
        "../../scripts/figure_thresholds.py"


rule figure_rules:
    """The graph of the rules, drawn from what Snakemake says of it."""
    output:
        report(
            "<results>/figures/rules.svg",
            caption="../report/rules.rst",
            category="Rules",
            labels={"figure": "Rules"},
        ),
    log:
        "<logs>/figure_rules.log",
    conda:
        "../../envs/report.yaml"
    params:
        contract=contracts.REPORT,
        program=digest(
            "Snakefile", *sorted(Path(workflow.basedir).glob("workflow/rules/*.smk"))
        ),
        config=GRAPH_CONFIG,
    message:
        "Draw the graph of the rules"
    script:
        "../../scripts/figure_rules.py"


rule report:
    """One self-contained page of all that the run found."""
    input:
        dataset=rules.dataset_statistics.output[0],
        inventory=rules.inventory.output.csv,
        splits="<results>/splits.csv",
        metrics="<results>/metrics.parquet",
        summary=rules.statistics.output.summary,
        measures=rules.statistics.output.measures,
        subgroups=rules.statistics.output.subgroups,
        tests=rules.statistics.output.tests,
        agreement=rules.statistics.output.agreement,
        power=rules.statistics.output.power,
        assumptions=rules.statistics.output.assumptions,
        results=rules.statistics.output.results,
        samples=rules.figure_samples.output.samples,
        bone=rules.figure_samples.output.bone,
        augmentation=rules.figure_samples.output.augmentation,
        areas=rules.figure_results.output.areas,
        dice=rules.figure_results.output.dice,
        differences=rules.figure_results.output.differences,
        bland_altman=rules.figure_results.output.agreement,
        reliability=rules.figure_results.output.reliability,
        thresholds=rules.threshold_statistics.output[0],
        by_threshold=rules.figure_thresholds.output[0],
        rules=rules.figure_rules.output[0],
        networks=expand("<results>/figures/network-{model}.svg", model=TRAINED),
        curves=expand("<results>/figures/curves-{model}.png", model=TRAINED),
        overlays=expand("<results>/figures/overlays-{model}.png", model=MODELS),
        cases=expand(
            "<results>/figures/cases/{model}/{case}-{picture}.png",
            model=MODELS,
            case=CASES,
            picture=PICTURES[:3],
        ),
        provenance=expand(
            "<results>/models/{model}/fold-{fold}/provenance.json",
            model=TRAINED,
            fold=FOLDS,
        ),
        exported=expand(
            "<results>/models/{model}/fold-{fold}/model.onnx",
            model=TRAINED,
            fold=FOLDS,
        ),
    output:
        page=report(
            "<results>/report.html",
            caption="../report/report.rst",
            category="Report",
            labels={"file": "Report"},
        ),
        methods=report(
            "<results>/methods.md",
            caption="../report/methods.rst",
            category="Report",
            labels={"file": "Methods"},
        ),
        checklist=report(
            "<results>/checklist.csv",
            caption="../report/checklist.rst",
            category="Report",
            labels={"file": "Reporting checklists"},
        ),
        config=report(
            "<results>/config.yaml",
            caption="../report/config.rst",
            category="Report",
            labels={"file": "Complete config"},
        ),
    log:
        "<logs>/report.log",
    conda:
        "../../envs/report.yaml"
    params:
        contract=contracts.REPORT,
        templates=digest(
            "workflow/report/page.html.j2",
            "workflow/report/methods.md.j2",
            "workflow/report/checklists.yaml",
            "workflow/report/study.md",
        ),
        trained=TRAINED,
        models=MODELS,
        config=json.dumps(config, sort_keys=True),
    message:
        "Write the report: {output.page}"
    script:
        "../../scripts/report.py"
