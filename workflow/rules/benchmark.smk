# Prints what each stage costs on this machine, on a phantom of its own. Makes no file.


rule benchmark:
    """Seconds a patient, images a second and milliseconds a slice."""
    log:
        "<logs>/benchmark.log",
    conda:
        "../../envs/training.yaml"
    threads: 8
    resources:
        mem_mb=8000,
        runtime=30,
    params:
        script=f"{workflow.basedir}/tests/benchmarks/stages.py",
    message:
        "Measure this machine"
    shell:
        "python {params.script} 2> {log}"
