"""inventory_page: the page of the dataset."""

from ichflow.job import logged

with logged(snakemake.log[0]):
    from pathlib import Path

    from ichflow import inventory_page, tables
    from ichflow.files import read_json

    given, params = snakemake.input, snakemake.params
    page = inventory_page.assemble(
        inventory_page.About(params.name, params.phantom, params.edition, params.restricted),
        tables.read(given.inventory),
        read_json(given.dataset)["findings"],
        [read_json(path) for path in given.verified],
        [Path(path).read_bytes() for path in given.thumbnails],
        given.figure,
    )
    template = Path(snakemake.scriptdir).parent / "workflow/report/page.html.j2"
    inventory_page.write(template, page, snakemake.output[0])
