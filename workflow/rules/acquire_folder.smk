# Needs: the sheet of a dataset with DICOM series. Makes: a NIfTI file of each. All else in a folder is used in place.


rule convert_dicom:
    """One CT series to one scan; why there is none is written beside it."""
    input:
        series=series,
        mask=mask,
    output:
        scan="<resources>/converted/{patient}.nii.gz",
        note="<resources>/converted/{patient}.json",
    log:
        "<logs>/convert_dicom/{patient}.log",
    conda:
        "../../envs/imaging.yaml"
    message:
        "Convert the DICOM series of patient {wildcards.patient}"
    script:
        "../../scripts/convert_dicom.py"
