"""download: a dataset from PhysioNet, by its list of checksums."""

from ichflow.job import logged

with logged(snakemake.log[0]) as tell:
    from ichflow import ctich, download, files

    params = snakemake.params
    patients = set(params.patients)
    arrived = download.fetch(
        params.url,
        params.arrived,
        lambda name: ctich.named_patients([name]) <= patients,
        tell,
        expected=params.names,
        connections=snakemake.config["dataset"]["connections"],
    )
    # Snakemake deletes the outputs of a job that fails; what arrived stays where it is
    files.link_all(arrived, params.arrived, snakemake.output[0].removesuffix(params.names[0]))
