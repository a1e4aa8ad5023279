rule benchmark:
    input:
        rules.statistics.output,
