"""threshold_statistics: a row a model and threshold."""

from ichflow.job import logged

with logged(snakemake.log[0]):
    import pandas as pd
    from ichflow import threshold_table
    from ichflow.files import whole

    params = snakemake.params
    found = threshold_table.table(
        pd.read_parquet(snakemake.input.metrics), seed=params.seed, resamples=params.resamples
    )
    with whole(snakemake.output[0]) as temporary:
        found.to_csv(temporary, index=False)
