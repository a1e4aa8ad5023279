"""verify_patient: every problem of one patient as JSON, and its picture for the contact sheet."""

from ichflow.job import logged

with logged(snakemake.log[0]) as tell:
    import time

    from ichflow import checks, intake
    from ichflow.errors import IchflowError
    from ichflow.files import write_bytes, write_json

    case = intake.read_case(snakemake.params.source, snakemake.wildcards.patient)
    started = time.perf_counter()
    verified = checks.verify(case)
    seconds, megabytes = time.perf_counter() - started, verified.bytes_read / 1e6
    for finding in verified.findings:
        tell(f"{case.patient}: {finding.verdict}: {finding}")
    tell(
        f"{case.patient}: {verified.verdict}; {megabytes:.1f} MB read, hashed and checked in {seconds:.2f} s, "
        f"{megabytes / seconds:.0f} MB/s"
    )
    if verified.set_aside and snakemake.params.on_bad_patient == "fail":
        raise IchflowError(
            f"patient {case.patient}: {'; '.join(verified.set_aside)}. Mend it, or set dataset.on_bad_patient "
            "to set_aside to go on without it."
        )
    write_json(snakemake.output.json, verified.as_json())
    write_bytes(snakemake.output.thumbnail, verified.thumbnail)
