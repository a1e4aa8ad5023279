"""ablate_variant: a recipe with one choice changed, trained and measured on the test patients of the first fold."""

from ichflow.job import logged

with logged(snakemake.log[0]) as tell:
    from ichflow import backends

    cores = backends.prepare(snakemake.threads)

    from ichflow import ablation, splits, tables, training
    from ichflow.errors import told_of
    from ichflow.fold import Fold
    from ichflow.recipes import Recipe

    source, name = snakemake.input, f"{snakemake.wildcards.variant}, seed {snakemake.wildcards.seed}"
    fold = Fold.find(tables.read(source.splits), 0, source.shards, source.digests)
    recipe = Recipe.from_json(snakemake.params.recipe)

    def heard(line: str) -> None:
        tell(f"{name}: {line}")

    state, scratch = snakemake.params.state, snakemake.resources.tmpdir
    with (
        told_of(name),
        training.trained(recipe, fold, state, scratch, workers=cores, tell=heard) as (network, facts, _),
    ):
        heard(f"{facts['epochs']} epochs in {facts['seconds']:.0f} s, kept epoch {facts['best_epoch']}")
        rows = ablation.measure(network, recipe, facts["threshold"]["used"], fold.shards[splits.TEST])
        tables.write(snakemake.output[0], rows, ablation.SCHEMA)
