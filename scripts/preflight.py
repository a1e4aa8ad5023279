"""preflight: whether a run on the cluster would get through."""

from ichflow.job import logged

with logged(snakemake.log[0]) as tell:
    from pathlib import Path

    from ichflow import preflight

    profile = preflight.read_profile(snakemake.params.profile)
    preflight.run(profile, snakemake.params.patients, snakemake.params.training, Path.cwd(), tell)
