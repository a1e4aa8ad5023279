"""ablation_table: what each choice gives, as a table and a figure."""

from ichflow.job import logged

with logged(snakemake.log[0]):
    import json

    from ichflow import ablation, figures, tables

    changed = json.loads(snakemake.params.variants)
    seeds = len(snakemake.params.seeds)
    files = list(snakemake.input)
    runs = {
        variant: [tables.read(path) for path in files[place * seeds : (place + 1) * seeds]]
        for place, variant in enumerate(changed)
    }
    rows = ablation.table(runs, changed, snakemake.params.resamples, snakemake.params.seed)
    tables.write_csv(snakemake.output.table, rows, ablation.COLUMNS)
    figures.ablation(rows, snakemake.output.figure)
