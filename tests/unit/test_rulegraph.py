"""The graph of the rules is read from what Snakemake prints."""

from ichflow import rulegraph

DOT = """digraph snakemake_dag {
\t0[label = "all", color = "0.1"];
\t1[label = "slice_patient\\npatient: 049", color = "0.1"];
\t2[label = "verify_patient"];
\t1 -> 0
\t2 -> 1
}"""


def test_edges_have_the_names_of_rules():
    assert rulegraph.parse(DOT) == [("slice_patient", "all"), ("verify_patient", "slice_patient")]
