"""report: the page that a person opens, and the files beside it."""

from ichflow.job import logged

with logged(snakemake.log[0]):
    import json
    from pathlib import Path

    from ichflow import page

    given, params = snakemake.input, snakemake.params
    lists = {
        "networks": dict(zip(params.trained, given.networks, strict=True)),
        "curves": dict(zip(params.trained, given.curves, strict=True)),
        "overlays": dict(zip(params.models, given.overlays, strict=True)),
        "cases": list(given.cases),
        "provenance": list(given.provenance),
        "exported": list(given.exported),
    }
    single = {name: path for name, path in given.items() if name not in (*lists, "template")}
    page.write(
        given.template,
        page.Sources(**single, **lists),
        json.loads(params.config),
        Path(given.template).parents[2],
        page.Outputs(**dict(snakemake.output.items())),
    )
