"""figure_rules: the graph of the rules."""

from ichflow.job import logged

with logged(snakemake.log[0]):
    from pathlib import Path

    from ichflow import figures, rulegraph

    snakefile = Path(snakemake.scriptdir).parent / "Snakefile"
    figures.rule_graph(rulegraph.edges(str(snakefile), snakemake.params.config), snakemake.output[0])
