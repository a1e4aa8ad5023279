"""train_fold: one recipe on one fold."""

from ichflow.job import logged

with logged(snakemake.log[0]) as tell:
    from ichflow import backends

    cores = backends.prepare(snakemake.threads)

    from ichflow import splits, tables, training
    from ichflow.files import write_json
    from ichflow.fold import Fold
    from ichflow.recipes import Recipe

    number, model = int(snakemake.wildcards.fold), snakemake.wildcards.model
    source = snakemake.input
    fold = Fold.find(tables.read(source.splits), number, source.shards, source.digests)
    recipe = Recipe.from_json(snakemake.params.recipe)
    # Beside the outputs and none of them, since Snakemake deletes those of a job that fails. It removes this
    # once it has taken note of them: until then a kill takes them
    state = training.state_of(snakemake.params.state, recipe, fold.digests)

    def heard(line: str) -> None:
        tell(f"{model}, fold {number}: {line}")

    with state.alone(heard):
        network, facts, history = training.train(
            recipe,
            fold.shards[splits.TRAIN],
            fold.shards[splits.VALIDATION],
            snakemake.resources.tmpdir,
            state,
            workers=cores,
            tell=heard,
            # Not a parameter of the rule: to watch a training is no reason to train again
            tensorboard=snakemake.params.tensorboard if snakemake.config["train"]["tensorboard"] else None,
        )
        training.write_model(snakemake.output.model, network)
        training.write_history(snakemake.output.history, history)
        write_json(snakemake.output.provenance, facts | {"model": model, "fold": number} | fold.provenance())
