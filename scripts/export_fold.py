"""export_fold: a trained network to ONNX."""

from ichflow.job import logged

with logged(snakemake.log[0]):
    import os

    # Whatever has trained: a Keras file is the same for all backends, and this one writes ONNX. No GPU is needed for it
    os.environ |= {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": ""}

    from ichflow import export
    from ichflow.files import read_json

    export.export(snakemake.input.model, read_json(snakemake.input.provenance), snakemake.output[0])
