"""figure_network: the layers of a recipe."""

from ichflow.job import logged

with logged(snakemake.log[0]):
    from ichflow import figures, networks
    from ichflow.recipes import Recipe

    layers = networks.outline(Recipe.from_json(snakemake.params.recipe))
    figures.network_drawing(layers, snakemake.output[0], title=snakemake.wildcards.model)
