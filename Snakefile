# From head CTs with hemorrhage masks to a statistical report, by files that each rule makes once.

from snakemake.utils import min_version

min_version("9.27")


configfile: f"{workflow.basedir}/config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/acquire.smk"
include: "workflow/rules/verify.smk"
include: "workflow/rules/slice.smk"
include: "workflow/rules/split.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/predict.smk"
include: "workflow/rules/predict_new.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/statistics.smk"
include: "workflow/rules/cases.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/browser.smk"
include: "workflow/rules/benchmark.smk"
include: "workflow/rules/ablation.smk"
include: "workflow/rules/preflight.smk"


rule all:
    default_target: True
    input:
        rules.inventory_page.output,
        rules.report.output,
