"""model_statistics: results by model, measure and group, a row a test, and what they say in sentences."""

from ichflow.job import logged

with logged(snakemake.log[0]):
    import pandas as pd
    from ichflow import agreement, claims, measures, power, samples, statistics, subgroups, summary
    from ichflow.files import whole, write_text
    from ichflow.intervals import Bootstrap

    metrics = pd.read_parquet(snakemake.input.metrics)
    inventory = pd.read_parquet(snakemake.input.inventory)
    params, output = snakemake.params, snakemake.output
    random = {"seed": params.seed, "resamples": params.resamples}
    chosen = {"n": params.sample, "smallest": params.smallest_group}
    part = samples.part_of_test(metrics)
    tables = {
        "summary": summary.summary(metrics, **random),
        "measures": measures.table(metrics, **random),
        "subgroups": subgroups.table(metrics, inventory, smallest=params.smallest_group, **random),
        "calibration": measures.calibration_table(metrics, **random),
        "tests": statistics.tests_table(
            part,
            margin_ml=params.equivalence_ml,
            simulated_group=params.simulated_group,
            bootstrap=Bootstrap(**random),
            **chosen,
        ),
        "assumptions": statistics.assumptions_table(part, seed=params.seed, **chosen),
        "agreement": agreement.table(part),
        "power": power.table(part, smallest=params.smallest_group),
    }
    for name, table in tables.items():
        with whole(output[name]) as temporary:
            table.to_csv(temporary, index=False)
    told = ("summary", "subgroups", "tests", "assumptions", "agreement", "power")
    write_text(output.results, claims.markdown(claims.Tables(**{name: tables[name] for name in told})))
