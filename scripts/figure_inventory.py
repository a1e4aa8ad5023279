"""figure_inventory: distributions of the dataset."""

from ichflow.job import logged

with logged(snakemake.log[0]):
    from ichflow import figures_dataset, tables
    from ichflow.files import read_json
    from ichflow.findings import SET_ASIDE

    verified = [read_json(path) for path in snakemake.input.verified]
    histograms = [each["facts"]["histogram"] for each in verified if each["verdict"] != SET_ASIDE]
    figures_dataset.distributions(tables.read(snakemake.input.inventory), histograms, snakemake.output[0])
