"""export_fold: a trained network to ONNX."""

from ichflow.job import logged

with logged(snakemake.log[0]):
    import os

    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"

    from ichflow import export
    from ichflow.files import read_json

    export.export(snakemake.input.model, read_json(snakemake.input.provenance), snakemake.output[0])
