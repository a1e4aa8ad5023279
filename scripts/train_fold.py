"""train_fold: one recipe on one fold."""

from ichflow.job import logged

with logged(snakemake.log[0]) as tell:
    from ichflow import backends

    cores = backends.prepare(snakemake.threads)

    from ichflow import tables, training
    from ichflow.errors import told_of
    from ichflow.files import write_json
    from ichflow.fold import Fold
    from ichflow.recipes import Recipe

    number, model = int(snakemake.wildcards.fold), snakemake.wildcards.model
    source, name = snakemake.input, f"{model}, fold {number}"
    fold = Fold.find(tables.read(source.splits), number, source.shards, source.digests)
    with (
        told_of(name),
        training.trained(
            Recipe.from_json(snakemake.params.recipe),
            fold,
            snakemake.params.state,  # beside the outputs and none of them: Snakemake deletes those of a job that fails
            snakemake.resources.tmpdir,
            workers=cores,
            tell=lambda line: tell(f"{name}: {line}"),
            # Not a parameter of the rule: to watch a training is no reason to train again
            tensorboard=snakemake.params.tensorboard if snakemake.config["train"]["tensorboard"] else None,
        ) as (network, facts, history),
    ):
        training.write_model(snakemake.output.model, network)
        training.write_history(snakemake.output.history, history)
        write_json(snakemake.output.provenance, facts | {"model": model, "fold": number} | fold.provenance())
