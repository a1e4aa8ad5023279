# Needs: splits and shards. Makes: ablation/ with what each choice of a recipe gives, over several seeds. It is no part
# of a run: snakemake --cores 2 ablation --configfile config/ablation.yaml


rule ablation:
    input:
        "<results>/ablation/table.csv",
        "<results>/ablation/figure.png",


rule ablate_variant:
    """A recipe with one choice changed, trained and measured on the test patients of the first fold."""
    input:
        splits="<results>/splits.parquet",
        shards=ancient(expand("<results>/shards/{patient}.parquet", patient=PATIENTS)),
        digests=expand("<results>/shards/{patient}.sha256", patient=PATIENTS),
    output:
        "<results>/ablation/{variant}-seed-{seed}.parquet",
    log:
        "<logs>/ablate_variant/{variant}-seed-{seed}.log",
    benchmark:
        "<benchmarks>/ablate_variant/{variant}-seed-{seed}.tsv"
    conda:
        "../../envs/training.yaml"
    threads: 1  # several small networks at a time are sooner done than one after another
    resources:
        runtime=ablation_minutes,
    params:
        recipe=ablated_recipe,
        state=ABLATION_STATE,
        contract=contracts.TRAINING,
        measured=contracts.VARIANT,
    message:
        "Train {wildcards.variant} of the ablation, seed {wildcards.seed}"
    script:
        "../../scripts/ablate_variant.py"


rule ablation_table:
    """Each variant against the recipe, with intervals over patients and seeds."""
    input:
        ablated,
    output:
        table=report(
            "<results>/ablation/table.csv",
            caption="../report/ablation.rst",
            category="Ablation",
            labels={"table": "What each choice gives"},
        ),
        figure=report(
            "<results>/ablation/figure.png",
            caption="../report/ablation.rst",
            category="Ablation",
            labels={"figure": "What each choice gives"},
        ),
    log:
        "<logs>/ablation_table.log",
    conda:
        "../../envs/report.yaml"
    params:
        **named(
            variants=json.dumps(VARIANTS),
            seeds=SEEDS,
            resamples=lookup(within=config, dpath="statistics/resamples"),
            seed=lookup(within=config, dpath="statistics/seed"),
            contract=contracts.ABLATION,
        ),
    message:
        "Compare the variants of the ablation"
    script:
        "../../scripts/ablation_table.py"
