"""phantom_patient: one generated patient in the layout of CT-ICH, and its exact truth."""

from ichflow.job import logged

with logged(snakemake.log[0]):
    from ichflow.phantom import layout
    from ichflow.phantom.numbers import has_hemorrhage
    from ichflow.phantom.patient import make_patient

    patient, params = snakemake.wildcards.patient, snakemake.params
    made = make_patient(
        patient,
        seed=params.seed,
        hemorrhage=has_hemorrhage(patient, params.hemorrhage_share),
        size=params.size,
    )
    out = snakemake.output
    layout.write_patient(made, out.scan, out.mask, out.label_map, out.facts)
