"""A table of metrics made up for tests of statistics."""

import numpy as np
import pandas as pd
from ichflow import lesionwise
from ichflow.dataset import LABELS, SUBTYPES


def overlap(true: int, predicted: int, common: int, pixels: int) -> dict[str, float]:
    nothing_there = true == 0
    return {
        "true_px": true,
        "predicted_px": predicted,
        "study_px": max(predicted - 5, 0),
        "true_positive_px": common,
        "false_positive_px": predicted - common,
        "false_negative_px": true - common,
        "true_negative_px": pixels - true - predicted + common,
        "dice": np.nan if nothing_there else 2 * common / (true + predicted),
        "iou": np.nan if nothing_there else common / (true + predicted - common),
        "sensitivity": np.nan if nothing_there else common / true,
        "precision": common / predicted if predicted else np.nan,
        "detected": predicted > 0,
        "has_hemorrhage": true > 0,
        "true_ml": true / 100,
        "predicted_ml": predicted / 100,
        "relative_volume_difference": np.nan if nothing_there else (predicted - true) / true,
        "nsd": np.nan if nothing_there else common / max(true, predicted),
        "hd95_mm": np.nan if nothing_there or not predicted else 5.0,
        "assd_mm": np.nan if nothing_there or not predicted else 2.0,
        "boundary": float(true + predicted),
        "boundary_near": float(common),
        **{name: int(true > 0) if name.startswith("true") else int(common > 0) for name in lesionwise.COUNTS},
    }


def make_metrics(seed: int = 1, patients: int = 24, slices: int = 12) -> pd.DataFrame:
    """Half of the patients bleed on a third of their slices; every fourth patient is a training one."""
    generator = np.random.default_rng(seed)
    quality = {"null": 0.0, "threshold": 0.3, "unet-small": 0.8}
    rows = []
    for number in range(patients):
        bleeds = number % 2 == 0
        true = [int(generator.integers(50, 900)) if bleeds and i % 3 == 0 else 0 for i in range(slices)]
        noise = generator.integers(0, 60, slices)
        common = {"patient": f"{number + 49:03d}", "fold": 0, "part": "train" if number % 8 > 5 else "test"}
        common |= dict.fromkeys(LABELS, False) | {SUBTYPES[number % 5]: bleeds, "fracture": number % 3 == 0}
        for model, part in quality.items():
            hits = [int(t * part * generator.uniform(0.7, 1.0)) for t in true]
            wrong = [0 if model == "null" else int(n) * (n > 30) for n in noise]
            common["model"] = model
            scores = [hits[i] / 900 + generator.uniform(0, 0.2) for i in range(slices)]
            for i in range(slices):
                rows.append(
                    common
                    | {"level": "slice", "slice": i + 1, "score": scores[i]}
                    | overlap(true[i], hits[i] + wrong[i], hits[i], 10_000)
                )
            total = overlap(sum(true), sum(hits) + sum(wrong), sum(hits), 10_000 * slices)
            rows.append(common | {"level": "patient", "slice": None, "score": max(scores)} | total)
    metrics = pd.DataFrame(rows)
    metrics["slice"] = metrics["slice"].astype("Int32")
    return metrics


def make_inventory(metrics: pd.DataFrame) -> pd.DataFrame:
    """Ages from 0 to 92, both sexes, two distances of slices; of the last patient nothing is known."""
    patients = sorted(set(metrics["patient"]))
    number = np.arange(len(patients))
    known = pd.DataFrame(
        {
            "patient": patients,
            "age_years": 4.0 * number,
            "sex": np.where(number % 4 < 2, "F", "M"),
            "slice_spacing_mm": np.where(number % 3 == 0, 2.0, 5.0000001),
        }
    )
    known["sex"] = known["sex"].astype(object)
    known.loc[number == len(patients) - 1, ["age_years", "sex"]] = None
    return known


def chosen_rows(metrics: pd.DataFrame, model: str, level: str) -> pd.DataFrame:
    return metrics[(metrics["part"] == "test") & (metrics["model"] == model) & (metrics["level"] == level)]
