"""verify_dataset: every problem that belongs to no single patient, as JSON."""

from ichflow.job import logged

with logged(snakemake.log[0]) as tell:
    import json

    from ichflow import folder_checks
    from ichflow.files import write_json

    about, findings = json.loads(snakemake.params.source), []
    if "sheet" not in about:
        findings = folder_checks.verify_folder(about["folder"])
    elif about["labels"]:
        findings = folder_checks.verify_labels(about["labels"], snakemake.params.patients)
    for finding in findings:
        tell(f"{finding.verdict}: {finding}")
    write_json(snakemake.output[0], {"findings": [finding.as_json() for finding in findings]})
