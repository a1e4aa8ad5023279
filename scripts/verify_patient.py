"""verify_patient: every problem of one patient, as JSON."""

from ichflow.job import logged

with logged(snakemake.log[0]):
    import logging

    from ichflow import checks
    from ichflow.errors import IchflowError
    from ichflow.files import write_json

    verified = checks.verify(snakemake.params.folder, snakemake.wildcards.patient)
    for finding in verified.findings:
        logging.warning("%s: %s", finding.verdict, finding)
    if verified.set_aside and snakemake.params.on_bad_patient == "fail":
        raise IchflowError(
            f"patient {verified.patient}: {'; '.join(verified.set_aside)}. Mend it, or set dataset.on_bad_patient "
            "to set_aside to go on without it."
        )
    write_json(snakemake.output[0], verified.as_json())
