"""evaluate_patient: every model and baseline on one patient."""

from ichflow.job import logged

with logged(snakemake.log[0]):
    from ichflow import evaluation, metrics, shards, splits, tables

    patient, params = snakemake.wildcards.patient, snakemake.params
    given = snakemake.input
    membership = splits.fold_and_part(tables.read(given.splits), patient)
    predictions = dict(
        zip(params.models, zip(given.slices, given.masks, given.probabilities, strict=True), strict=True)
    )
    rows = evaluation.evaluate(
        shards.read(given.shard),
        given.volumes,
        predictions,
        membership,
        params.threshold_hu,
    )
    tables.write(snakemake.output[0], rows, metrics.SCHEMA)
