"""slice_patient: one verified patient to one shard and its digest."""

from ichflow.job import logged

with logged(snakemake.log[0]):
    import logging
    from pathlib import Path

    from ichflow import shards, slicing
    from ichflow.files import read_json, sha256, write_text

    verified = read_json(snakemake.input.verified)
    if verified["set_aside"]:
        logging.warning("set aside, so the shard has no rows: %s", "; ".join(verified["set_aside"]))
    output = snakemake.output
    shards.write(output.shard, slicing.make_shard(verified, snakemake.input.volumes, snakemake.params.size))
    write_text(output.digest, f"{sha256(output.shard)}  {Path(output.shard).name}\n")
