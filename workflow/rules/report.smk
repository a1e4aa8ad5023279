rule report:
    input: rules.statistics.output
