"""statistics: results by model, measure and group, and a row a test."""

from ichflow.job import logged

with logged(snakemake.log[0]):
    import pandas as pd
    from ichflow import measures, statistics
    from ichflow.files import whole

    metrics = pd.read_parquet(snakemake.input.metrics)
    params, output = snakemake.params, snakemake.output
    random = {"seed": params.seed, "resamples": params.resamples}
    for path, table in (
        (output.summary, statistics.summary(metrics, **random)),
        (output.measures, measures.table(metrics, **random)),
        (output.subgroups, measures.subgroups(metrics, **random)),
        (output.calibration, measures.calibration_table(metrics, **random)),
        (output.tests, statistics.tests_table(metrics, n=params.sample, **random)),
    ):
        with whole(path) as temporary:
            table.to_csv(temporary, index=False)
