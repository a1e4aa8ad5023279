"""predict_scan: one scan without truth, checked like any other, and what the model says of it."""

from ichflow.job import logged

with logged(snakemake.log[0]) as tell:
    from ichflow import checks, newscans, prediction, slicing
    from ichflow.errors import IchflowError
    from ichflow.files import read_json, write_json

    name, output, params = snakemake.wildcards.scan, snakemake.output, snakemake.params
    scan, *notes = list(snakemake.input.scan) if isinstance(snakemake.input.scan, list) else [snakemake.input.scan]
    verified = checks.verify(newscans.case(name, scan, read_json(notes[0]) if notes else None))
    for finding in verified.findings:
        tell(f"{name}: {finding.verdict}: {finding}")
    if verified.set_aside and params.on_bad_patient == "fail":
        raise IchflowError(
            f"scan {name}: {'; '.join(verified.set_aside)}. Mend it, or set dataset.on_bad_patient to set_aside to "
            "go on without it."
        )
    write_json(output.verification, verified.as_json())
    info, hu = slicing.read_scan(verified.as_json(), scan, params.size)
    models, membership = snakemake.input.models, (0, newscans.PART)
    found = prediction.predict(info, hu, "new", models, membership, snakemake.threads, params.precision)
    found.write(output.slices, output.mask, output.probability)
