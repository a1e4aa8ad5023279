"""browser: the page of the case browser, and what it draws with."""

from ichflow.job import logged

with logged(snakemake.log[0]):
    from pathlib import Path

    from ichflow import browser, tables

    given, params = snakemake.input, snakemake.params
    page = browser.assemble(
        tables.read(given.inventory),
        browser.measured_patients(given.metrics),
        params.models,
        name=params.name,
        phantom=params.phantom,
        restricted=params.restricted,
    )
    template = Path(snakemake.scriptdir).parent / "workflow/report/browser.html.j2"
    browser.write(template, page, snakemake.output.page)
    browser.write_niivue(snakemake.output.niivue, snakemake.output.license)
