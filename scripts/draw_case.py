"""draw_case: one patient and one model in pictures."""

from ichflow.job import logged

with logged(snakemake.log[0]):
    from ichflow import cases

    given = snakemake.input
    files = cases.Files(
        given.shard, given.metrics, given.slices, given.mask, given.probability, given.models, snakemake.params.trained
    )
    cases.draw(files, snakemake.wildcards.model, cases.Pictures(**dict(snakemake.output.items())), snakemake.threads)
