# Prints what each stage costs on this machine, on phantoms of their own, and leaves it in the first log: the output of a
# job on a cluster goes nowhere else.


rule benchmark:
    """Seconds a patient, images a second, milliseconds a slice, megabytes a second."""
    log:
        figures="<logs>/benchmark.log",
        errors="<logs>/benchmark.err",
    conda:
        "../../envs/training.yaml"
    threads: 8
    params:
        folder=f"{workflow.basedir}/tests/benchmarks",
    message:
        "Measure this machine"
    shell:
        "{{ for part in stages intake prediction cases; do python {params.folder:q}/$part.py || exit; done; }}"
        " 2> {log.errors:q} | tee {log.figures:q}"


rule benchmark_training:
    """This loop beside plain Keras, what workers give, and memory as patients grow: 20 minutes on two cores."""
    log:
        figures="<logs>/benchmark_training.log",
        errors="<logs>/benchmark_training.err",
    conda:
        "../../envs/training.yaml"
    threads: 8
    params:
        folder=f"{workflow.basedir}/tests/benchmarks",
    message:
        "Measure training on this machine"
    shell:
        "python {params.folder:q}/training.py 2> {log.errors:q} | tee {log.figures:q}"
