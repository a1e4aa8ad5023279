# Needs: what dataset.source names. Makes: scans, masks and tables where there are none yet; an existing folder is used in
# place.


rule acquire:
    input:
        dataset_files,


include: f"acquire_{SOURCE}.smk"
