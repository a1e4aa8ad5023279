# Prints what each stage costs on this machine, on a phantom of its own. Makes no file.


rule benchmark:
    """Seconds a patient, images a second and milliseconds a slice."""
    log:
        "<logs>/benchmark.log",
    conda:
        "../../envs/training.yaml"
    threads: 8
    params:
        script=f"{workflow.basedir}/tests/benchmarks/stages.py",
    message:
        "Measure this machine"
    shell:
        "python {params.script:q} 2> {log:q}"
