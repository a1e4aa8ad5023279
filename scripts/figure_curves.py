"""figure_curves: how training went."""

from ichflow.job import logged

with logged(snakemake.log[0]):
    import pandas as pd
    from ichflow import figures
    from ichflow.files import read_json

    source = snakemake.input
    runs = []
    for fold, (history, provenance) in enumerate(zip(source.histories, source.provenance, strict=True)):
        run = pd.read_csv(history).assign(model=snakemake.wildcards.model, fold=fold)
        runs.append(run.assign(kept=run["epoch"] == read_json(provenance)["best_epoch"]))
    figures.training_curves(pd.concat(runs), snakemake.output[0])
