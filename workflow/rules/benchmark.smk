# Prints what each stage costs on this machine, on a phantom of its own. Makes no file.


rule benchmark:
    """Seconds a patient, images a second, milliseconds a slice, megabytes a second."""
    log:
        "<logs>/benchmark.log",
    conda:
        "../../envs/training.yaml"
    threads: 8
    params:
        folder=f"{workflow.basedir}/tests/benchmarks",
    message:
        "Measure this machine"
    shell:
        "{{ python {params.folder:q}/stages.py && python {params.folder:q}/intake.py; }} 2> {log:q}"
