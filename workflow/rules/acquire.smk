# Needs: what dataset.source names. Makes: scans, masks and tables where there are none yet; an existing folder is used in
# place.


def acquired(wildcards):
    return [
        *INTAKE.tables(),
        *(file for patient in PATIENTS for file in INTAKE.volumes(patient)),
    ]


rule acquire:
    input:
        acquired,


include: f"acquire_{SOURCE}.smk"
