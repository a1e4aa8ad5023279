"""figure_results: Dice by model, reliability, predicted areas by group, agreement, differences of models."""

from ichflow.job import logged

with logged(snakemake.log[0]):
    import pandas as pd
    from ichflow import figures, figures_statistics, report, samples
    from ichflow.recipes import BASELINES

    metrics, params = pd.read_parquet(snakemake.input.metrics), snakemake.params
    models = [*BASELINES, *params.models]
    figures.dice_by_model(metrics, snakemake.output.dice, models=models)
    figures.reliability(report.read_results(snakemake.input.calibration), snakemake.output.reliability, models=models)
    groups = {}
    for model in params.models or BASELINES:
        groups |= samples.areas_by_group(metrics, model, n=params.sample, seed=params.seed)
    figures.boxplots(groups, snakemake.output.areas)
    agreement, tests = (report.read_results(snakemake.input[name]) for name in ("agreement", "tests"))
    figures_statistics.bland_altman(metrics, agreement, snakemake.output.agreement, models=models)
    figures_statistics.differences(tests, snakemake.output.differences)
