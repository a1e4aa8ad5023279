"""verify_dataset: every problem that belongs to no single patient, as JSON."""

from ichflow.job import logged

with logged(snakemake.log[0]) as tell:
    from ichflow import folder_checks
    from ichflow.files import write_json

    folder = snakemake.params.folder
    findings = folder_checks.verify_folder(folder) if folder else []
    for finding in findings:
        tell(f"{finding.verdict}: {finding}")
    write_json(snakemake.output[0], {"findings": [finding.as_json() for finding in findings]})
