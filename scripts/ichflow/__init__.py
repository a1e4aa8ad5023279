"""ichflow: from head CTs with hemorrhage masks to statistics that a reviewer accepts.

The library knows nothing of Snakemake. Its modules import downwards only: ``errors`` and ``files`` know
nobody, ``dataset`` and ``volume`` know the disk, everything else builds on them.
"""
