"""figure_case: a test patient that the metrics choose, in pictures."""

from ichflow.job import logged

with logged(snakemake.log[0]):
    from ichflow import cases

    given, params, wildcards = snakemake.input, snakemake.params, snakemake.wildcards
    pictures = cases.Pictures(**dict(snakemake.output.items()))
    patient = cases.pick(given.metrics, wildcards.model, wildcards.case)
    if patient is None:
        cases.nothing(f"No test patient of its own for '{wildcards.case}'.", pictures)
    else:
        lists = (given.shards, given.slices, given.masks, given.probabilities)
        shard, slices, mask, probability = (paths[params.patients.index(patient)] for paths in lists)
        files = cases.Files(shard, given.metrics, slices, mask, probability, given.models, params.trained)
        cases.draw(files, wildcards.model, pictures, snakemake.threads)
