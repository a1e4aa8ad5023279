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
    single = {name: path for name, path in given.items() if name not in lists}
    root = Path(snakemake.scriptdir).parent
    templates = root / "workflow/report"
    texts = {"methods": "methods.md.j2", "checklists": "checklists.yaml", "study": "study.md"}
    page.write(
        templates / "page.html.j2",
        page.Sources(**single, **lists, **{key: str(templates / name) for key, name in texts.items()}),
        json.loads(params.config),
        root,
        page.Outputs(**dict(snakemake.output.items())),
    )
