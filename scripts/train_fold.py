"""train_fold: one recipe on one fold."""

from ichflow.job import logged

with logged(snakemake.log[0]) as tell:
    import os
    from pathlib import Path
    from tempfile import TemporaryDirectory

    # Snakemake gives this job so many cores, TensorFlow counts those of the machine
    cores = min(snakemake.threads, os.cpu_count() or 1)
    os.environ |= {"TF_NUM_INTRAOP_THREADS": str(cores), "TF_CPP_MIN_LOG_LEVEL": "2"}

    import json

    from ichflow import contracts, splits, tables, training
    from ichflow.files import write_json
    from ichflow.recipes import Recipe
    from ichflow.resume import ResumeFile

    assigned, fold = tables.read(snakemake.input.splits), int(snakemake.wildcards.fold)
    shard_of = {Path(path).stem: path for path in snakemake.input.shards}
    members = {part: splits.members(assigned, fold, part) for part in splits.PARTS}
    digests = {Path(path).stem: Path(path).read_text().split()[0] for path in snakemake.input.digests}
    used = {
        part: {patient: digests[patient] for patient in members[part]} for part in (splits.TRAIN, splits.VALIDATION)
    }
    identity = {"recipe": json.loads(snakemake.params.recipe), "shards": used, "contract": contracts.MODEL}
    # Beside the outputs and none of them, since Snakemake deletes those of a job that fails
    state = ResumeFile(snakemake.params.state, json.dumps(identity | {"versions": training.versions()}))
    name = f"{snakemake.wildcards.model}, fold {fold}"
    with TemporaryDirectory(dir=snakemake.resources.tmpdir) as scratch:
        model, facts, history = training.train(
            Recipe.from_json(snakemake.params.recipe),
            [shard_of[patient] for patient in members[splits.TRAIN]],
            [shard_of[patient] for patient in members[splits.VALIDATION]],
            scratch,
            state,
            workers=cores,
            tell=lambda line: tell(f"{name}: {line}"),
            # Not a parameter of the rule: to watch a training is no reason to train again
            tensorboard=snakemake.params.tensorboard if snakemake.config["train"]["tensorboard"] else None,
        )
    facts |= {"model": snakemake.wildcards.model, "fold": fold, "patients": members}
    facts |= {"shards": {patient: digest for part in used.values() for patient, digest in sorted(part.items())}}
    training.write_model(snakemake.output.model, model)
    training.write_history(snakemake.output.history, history)
    write_json(snakemake.output.provenance, facts)
    state.remove()
