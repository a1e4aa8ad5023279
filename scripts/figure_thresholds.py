"""figure_thresholds: Dice at every threshold."""

from ichflow.job import logged

with logged(snakemake.log[0]):
    import pandas as pd
    from ichflow import figures_thresholds
    from ichflow.files import read_json

    trainings = {model: [] for model in snakemake.params.models}
    for path in snakemake.input.provenance:
        facts = read_json(path)
        trainings[facts["model"]].append(facts["threshold"])
    figures_thresholds.threshold_curves(
        pd.read_parquet(snakemake.input.metrics), trainings, snakemake.output[0], seed=snakemake.params.seed
    )
