# Needs: predictions, metrics and exported models. Makes: pictures of some test patients for the report; and of every
# patient, in cases/{model}, with the target cases, which is no part of a run.


rule cases:
    input:
        expand(
            "<results>/cases/{model}/{patient}-{picture}.png",
            model=MODELS,
            patient=PATIENTS,
            picture=PICTURES,
        ),


rule draw_case:
    """One patient and one model: probabilities, what the detection rests on, three dimensions, the whole scan."""
    input:
        shard=ancient("<results>/shards/{patient}.parquet"),
        digest="<results>/shards/{patient}.sha256",
        metrics="<results>/metrics/{patient}.parquet",
        slices="<results>/predictions/{model}/{patient}.parquet",
        mask="<results>/predictions/{model}/{patient}_mask.nii.gz",
        probability="<results>/predictions/{model}/{patient}_probability.nii.gz",
        models=model_files,
    output:
        heatmap="<results>/cases/{model}/{patient}-heatmap.png",
        attention="<results>/cases/{model}/{patient}-attention.png",
        rendering="<results>/cases/{model}/{patient}-rendering.png",
        montage="<results>/cases/{model}/{patient}-montage.png",
    log:
        "<logs>/draw_case/{model}-{patient}.log",
    benchmark:
        "<benchmarks>/draw_case/{model}-{patient}.tsv"
    conda:
        "../../envs/cases.yaml"
    threads: 2
    params:
        trained=is_trained,
        contract=contracts.CASES,
    message:
        "Draw patient {wildcards.patient} as predicted by {wildcards.model}"
    script:
        "../../scripts/draw_case.py"


rule figure_case:
    """The same of a test patient that the metrics choose: the best, median or worst Dice, or a false alarm."""
    input:
        metrics="<results>/metrics.parquet",
        shards=ancient(expand("<results>/shards/{patient}.parquet", patient=PATIENTS)),
        slices=expand(
            "<results>/predictions/{{model}}/{patient}.parquet", patient=PATIENTS
        ),
        masks=expand(
            "<results>/predictions/{{model}}/{patient}_mask.nii.gz", patient=PATIENTS
        ),
        probabilities=expand(
            "<results>/predictions/{{model}}/{patient}_probability.nii.gz",
            patient=PATIENTS,
        ),
        models=model_files,
    output:
        heatmap=report(
            "<results>/figures/cases/{model}/{case}-heatmap.png",
            caption="../report/heatmap.rst",
            category="Cases",
            labels={"figure": "Heatmap", "case": "{case}", "model": "{model}"},
        ),
        attention=report(
            "<results>/figures/cases/{model}/{case}-attention.png",
            caption="../report/attention.rst",
            category="Cases",
            labels={"figure": "Attention", "case": "{case}", "model": "{model}"},
        ),
        rendering=report(
            "<results>/figures/cases/{model}/{case}-rendering.png",
            caption="../report/rendering.rst",
            category="Cases",
            labels={"figure": "Rendering", "case": "{case}", "model": "{model}"},
        ),
        montage=report(
            "<results>/figures/cases/{model}/{case}-montage.png",
            caption="../report/montage.rst",
            category="Cases",
            labels={"figure": "Montage", "case": "{case}", "model": "{model}"},
        ),
    log:
        "<logs>/figure_case/{model}-{case}.log",
    conda:
        "../../envs/cases.yaml"
    threads: 2
    params:
        patients=PATIENTS,
        trained=is_trained,
        contract=contracts.CASES,
    message:
        "Draw the {wildcards.case} case of {wildcards.model}"
    script:
        "../../scripts/figure_case.py"
