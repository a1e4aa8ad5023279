"""Versions of what the stages hand on; rules take them as parameters, so that a new version voids old files.

Snakemake sees a change of a script, but not of the library: whoever changes what a stage writes raises its number.
"""

PHANTOM = 3
VERIFICATION = 2
INVENTORY = 2
SHARD = 3
SPLIT = 2
TRAINING = 9  # how a recipe becomes weights
MODEL = 4  # what an exported file carries
PREDICTION = 3
METRICS = 3
STATISTICS = 5
VARIANT = 1  # what the ablation measures of a trained variant
ABLATION = 3
REPORT = 6
BROWSER = 1
CASES = 1

MODEL_KEY = "ichflow"  # of the metadata in an exported model
