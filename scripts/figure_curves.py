"""figure_curves: how training went."""

from ichflow.job import logged

with logged(snakemake.log[0]):
    import pandas as pd
    from ichflow import figures
    from ichflow.recipes import Recipe

    model = snakemake.wildcards.model
    histories = [
        pd.read_csv(path).assign(model=model, fold=fold) for fold, path in enumerate(snakemake.input.histories)
    ]
    best = Recipe.from_json(snakemake.params.recipe).monitor
    figures.training_curves(pd.concat(histories), snakemake.output[0], best=best)
