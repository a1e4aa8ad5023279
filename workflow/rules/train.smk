# Needs: splits and shards. Makes: models/{model}/fold-{fold}/ with the Keras model, its history, its provenance and
# the exported model that predicts.


rule train:
    input:
        expand(
            "<results>/models/{model}/fold-{fold}/history.csv",
            model=TRAINED,
            fold=FOLDS,
        ),


rule export:
    input:
        expand(
            "<results>/models/{model}/fold-{fold}/model.onnx",
            model=TRAINED,
            fold=FOLDS,
        ),


rule train_fold:
    """One recipe on the training patients of one fold, stopped by its validation patients."""
    input:
        splits="<results>/splits.parquet",
        shards=ancient(expand("<results>/shards/{patient}.parquet", patient=PATIENTS)),
        digests=expand("<results>/shards/{patient}.sha256", patient=PATIENTS),
    output:
        model="<results>/models/{model}/fold-{fold}/model.keras",
        provenance="<results>/models/{model}/fold-{fold}/provenance.json",
        history=report(
            "<results>/models/{model}/fold-{fold}/history.csv",
            caption="../report/history.rst",
            category="Training",
            labels={"table": "History", "model": "{model}", "fold": "{fold}"},
        ),
    log:
        "<logs>/train_fold/{model}-fold-{fold}.log",
    benchmark:
        "<benchmarks>/train_fold/{model}-fold-{fold}.tsv"
    conda:
        "../../envs/training.yaml"
    threads: 8
    resources:
        runtime=training_minutes,
    params:
        recipe=recipe,
        state=STATE,
        tensorboard=tensorboard_folder,
        contract=contracts.TRAINING,
    message:
        "Train {wildcards.model}, fold {wildcards.fold} (progress in {log})"
    script:
        "../../scripts/train_fold.py"


rule export_fold:
    """A trained network to ONNX, with the recipe inside."""
    input:
        model="<results>/models/{model}/fold-{fold}/model.keras",
        provenance="<results>/models/{model}/fold-{fold}/provenance.json",
    output:
        "<results>/models/{model}/fold-{fold}/model.onnx",
    log:
        "<logs>/export_fold/{model}-fold-{fold}.log",
    conda:
        "../../envs/training.yaml"
    params:
        contract=contracts.MODEL,
    message:
        "Export {wildcards.model}, fold {wildcards.fold}"
    script:
        "../../scripts/export_fold.py"
