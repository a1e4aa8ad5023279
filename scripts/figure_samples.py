"""figure_samples: sample slices, the bone window, augmentation."""

from ichflow.job import logged

with logged(snakemake.log[0]):
    from ichflow import figures, gallery
    from ichflow.recipes import Recipe

    output = snakemake.output
    positive, negative, bone = gallery.examples(snakemake.input.shards)
    figures.sample_slices(positive, negative, output.samples)
    figures.bone_views(bone, output.bone)
    shown = [*positive, *negative]
    if snakemake.params.recipe and shown:
        recipe = Recipe.from_json(snakemake.params.recipe)
        original, changed = gallery.augmented(shown[0], recipe)
        figures.augmentation_examples(original, changed, output.augmentation, window=recipe.windows[0])
    else:
        figures.placeholder("Nothing is trained in this run, so nothing is augmented.", output.augmentation)
