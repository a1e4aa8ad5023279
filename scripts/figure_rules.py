"""figure_rules: the graph of the rules."""

from ichflow.job import logged

with logged(snakemake.log[0]):
    from ichflow import figures, rulegraph

    figures.rule_graph(rulegraph.edges(snakemake.params.snakefile, snakemake.params.config), snakemake.output[0])
