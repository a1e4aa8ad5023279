"""convert_dicom: one series to one scan; why there is none is for verification to tell."""

from ichflow.job import logged

with logged(snakemake.log[0]) as tell:
    from ichflow import dicom
    from ichflow.errors import IchflowError
    from ichflow.files import write_bytes, write_json

    series, scan, note = snakemake.input.series, snakemake.output.scan, {"problem": "", "slices": ""}
    mask = next(iter(snakemake.input.mask), None)  # a patient may lack one
    try:
        note["slices"] = dicom.convert(series, mask, scan)
    except IchflowError as error:
        note["problem"] = str(error)
        write_bytes(scan, b"")
        tell(f"{snakemake.wildcards.patient}: {series}: {error}")
    write_json(snakemake.output.note, note)
