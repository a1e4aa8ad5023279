"""The phantom beside published figures: pictures for the docs, and what it costs and how hard it is.

Run ``python tests/benchmarks/phantom.py sheet distributions hardness cost scaling``, or any of the five. The first two
write ``docs/phantom.png`` and ``docs/phantom-distributions.png``; the others print.
"""

import argparse
import resource
import sys
import time
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "scripts"))
SEED = 1

# Patients and slices, from the vertex down, of the contact sheet
_HEALTHY = "051"
_LEVELS = (4, 8, 13, 17, 19, 22, 25, 29)
_BLEEDS = (
    ("187", "epidural"),
    ("097", "subdural"),
    ("115", "subdural"),
    ("691", "subdural"),
    ("071", "subarachnoid"),
    ("157", "intraparenchymal"),
    ("106", "intraventricular"),
    ("094", "epidural"),
)
_TILE = 224
_GRAYS = 40  # gray levels that the picture keeps, so that its noise does not make it large

# CT-ICH's connected lesions (DIDSR 2025): volumes (mL) at the shares, mean number of slices, mean HU and its SD
_SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)
_PUBLISHED = {
    "epidural": ((0.31, 1.28, 4.21, 8.33, 58.9), 7.1, 59.7, 14.4),
    "subdural": ((1.7, 3.9, 15.1, 29.3, 38.6), 8.8, 52.8, 8.1),
    "intraparenchymal": ((0.09, 0.25, 0.49, 2.27, 5.84), 2.9, 46.9, 6.8),
    "subarachnoid": ((0.20, 0.59, 1.20, 1.97, 4.28), 2.6, 46.7, 6.1),
    "intraventricular": ((0.42, 1.21, 1.84, 2.49, 3.80), 3.6, 39.1, 8.5),
}
_PATIENTS_WITH = {"epidural": 21, "intraparenchymal": 16, "subarachnoid": 7, "intraventricular": 5, "subdural": 4}
_BLEEDING = 36
_LEAST_VOXELS = 15  # of a connected lesion in the published table, at 512 pixels; here at 256
_TOTAL_ML = (2.8, 6.5, 14.6)  # quartiles of a patient's blood
_NOISE_SCANS = ("049", "053", "056", "057", "066", "067", "070", "075")
_NOISE = (3.1, 3.8, 4.7)  # 5 %, median and 95 % of scans


def main():
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    tasks = {"sheet": sheet, "distributions": distributions, "hardness": hardness, "cost": cost, "scaling": scaling}
    parser.add_argument("tasks", nargs="+", choices=tasks)
    for task in parser.parse_args().tasks:
        tasks[task]()


def made(patient, *, size=512, hemorrhage=None):
    """Make a patient as the default run does."""
    from ichflow.phantom import has_hemorrhage
    from ichflow.phantom.patient import make_patient

    bleeds = has_hemorrhage(patient, 0.5) if hemorrhage is None else hemorrhage
    return make_patient(patient, seed=SEED, hemorrhage=bleeds, size=size)


def sheet():
    """Write the contact sheet: one head at eight levels and eight hemorrhages, in two windows each."""
    healthy = made(_HEALTHY, hemorrhage=False)
    rows = [
        [_tile(healthy, len(healthy.hu) - level, window, "") for level in reversed(_LEVELS)]
        for window in ("brain", "bone")
    ]
    bleeding = [(made(patient, hemorrhage=True), subtype) for patient, subtype in _BLEEDS]
    for window in ("brain", "subdural"):
        rows.append([_tile(one, _worst(one, subtype), window, subtype) for one, subtype in bleeding])
    picture = np.vstack([np.hstack(row) for row in rows])
    cv2.imwrite(str(ROOT / "docs/phantom.png"), picture, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    print(f"docs/phantom.png: {(ROOT / 'docs/phantom.png').stat().st_size // 1000} kB")


def _worst(one, subtype):
    """Return the slice with most of a subtype."""
    from ichflow.phantom import tissues

    return int(np.argmax((one.label_map == tissues.subtype_label(subtype)).sum((1, 2))))


def _tile(one, index, window, note):
    """Return a slice as it is read: sides, number and window in its corners."""
    from ichflow.windows import WINDOWS, apply_window

    gray = cv2.resize(apply_window(one.hu[index], window), (_TILE, _TILE), interpolation=cv2.INTER_AREA)
    tile = (np.round(gray * _GRAYS) * (255 / _GRAYS)).astype(np.uint8)
    level, width = WINDOWS[window]
    texts = (
        ("R", (3, _TILE // 2)),
        ("L", (_TILE - 11, _TILE // 2)),
        (f"{one.patient} slice {index + 1}", (3, 11)),
        (f"{window} {level}/{width}", (3, _TILE - 5)),
        (note, (3, 23)),
    )
    for text, place in texts:
        cv2.putText(tile, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.36, (230,), 1, cv2.LINE_AA)
    return tile


def distributions():
    """Draw the phantom's distributions beside the published ones."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    drawn = _drawn(6000)
    scans = _scans(44)
    figure, axes = plt.subplots(3, 3, figsize=(11, 9), layout="constrained")
    for axis, subtype in zip(axes.flat[:5], _PUBLISHED, strict=True):
        _volumes(axis, subtype, drawn)
    _prevalence(axes.flat[5], drawn)
    _totals(axes.flat[6], drawn)
    _density_and_slices(axes.flat[7], scans)
    _noise(axes.flat[8])
    figure.suptitle("Phantom (blue) and CT-ICH as published (orange)")
    path = ROOT / "docs/phantom-distributions.png"
    figure.savefig(path, dpi=80)
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1000} kB")


def _drawn(count):
    """Draw the lesions of the bleeding among ``count`` patients, without images."""
    from ichflow.phantom import has_hemorrhage, lesions, patient_numbers

    return [
        lesions.draw_lesions(np.random.default_rng([SEED, int(number)]), lesions.draw_subtypes(number))
        for number in patient_numbers(count)
        if has_hemorrhage(number, 0.48)
    ]


def _scans(count):
    """Measure, on images, mean HU and number of slices of connected lesions as they are marked."""
    from ichflow import dataset
    from ichflow.phantom import has_hemorrhage, patient_numbers
    from scipy import ndimage

    found = {subtype: [] for subtype in _PUBLISHED}
    for number in patient_numbers(3 * count):
        if not has_hemorrhage(number, 0.5):
            continue
        one = made(number, size=256)
        pieces, count = ndimage.label(one.mask, np.ones((3, 3, 3)))
        for piece in (pieces == i for i in range(1, count + 1)):
            blood = np.bincount(one.label_map[piece], minlength=6)[1:6]
            if piece.sum() <= _LEAST_VOXELS or not blood.any():
                continue
            lesion = dataset.SUBTYPES[int(blood.argmax())]
            # The table of SAH is of medians, too
            hu = (np.median if lesion == "subarachnoid" else np.mean)(one.hu[piece])
            found[lesion].append((hu, piece.any((1, 2)).sum()))
    for lesion, values in found.items():
        mean, slices = np.mean(values, axis=0)
        deviation = np.std([value[0] for value in values])
        print(f"{lesion}: {len(values)} connected, {mean:.1f} ± {deviation:.1f} HU, {slices:.1f} slices")
    return found


def _volumes(axis, subtype, drawn):
    volumes = np.sort([lesion.volume_ml for one in drawn for lesion in one if lesion.subtype == subtype])
    axis.step(volumes, np.arange(1, volumes.size + 1) / volumes.size, where="post")
    axis.plot(_PUBLISHED[subtype][0], _SHARES, "o", color="C1")
    _logarithmic(axis, f"{subtype}, {volumes.size} lesions")


def _logarithmic(axis, title):
    from matplotlib.ticker import NullFormatter

    axis.set(xscale="log", title=title, xlabel="volume, mL", ylabel="share")
    axis.set_xlim(0.05, 150)
    axis.set_xticks((0.1, 1, 10, 100), ("0.1", "1", "10", "100"))
    axis.xaxis.set_minor_formatter(NullFormatter())


def _prevalence(axis, drawn):
    names = list(_PATIENTS_WITH)
    shares = [np.mean([any(lesion.subtype == name for lesion in one) for one in drawn]) for name in names]
    places = np.arange(len(names))
    axis.bar(places - 0.2, shares, 0.4)
    axis.bar(places + 0.2, [count / _BLEEDING for count in _PATIENTS_WITH.values()], 0.4)
    axis.set_xticks(places, [name[:8] + "…" if len(name) > 9 else name for name in names], rotation=20)
    axis.set(title="subtypes", ylabel="share of bleeding patients")


def _totals(axis, drawn):
    totals = np.sort([sum(lesion.volume_ml for lesion in one) for one in drawn])
    axis.step(totals, np.arange(1, totals.size + 1) / totals.size, where="post")
    axis.plot(_TOTAL_ML, (0.25, 0.5, 0.75), "o", color="C1")
    _logarithmic(axis, f"blood of a patient, {totals.size} patients")


def _density_and_slices(axis, scans):
    for place, (subtype, found) in enumerate(scans.items()):
        _, slices, hu, deviation = _PUBLISHED[subtype]
        values = np.array(found or [(np.nan, np.nan)])
        axis.errorbar(place - 0.12, values[:, 0].mean(), values[:, 0].std(), fmt="o", color="C0")
        axis.errorbar(place + 0.12, hu, deviation, fmt="o", color="C1")
        axis.plot(place - 0.12, np.nanmean(values[:, 1]), "s", color="C0")
        axis.plot(place + 0.12, slices, "s", color="C1")
    axis.set_xticks(range(len(scans)), [name[:8] + "…" if len(name) > 9 else name for name in scans], rotation=20)
    axis.set(title="● mean HU (± SD) and ■ slices, on images", ylabel="HU; slices")


def _noise(axis):
    levels, correlations = zip(*(_noise_of(number) for number in _NOISE_SCANS), strict=True)
    axis.plot(np.zeros(len(levels)), levels, "o", color="C0")
    axis.errorbar(1, _NOISE[1], [[_NOISE[1] - _NOISE[0]], [_NOISE[2] - _NOISE[1]]], fmt="o", color="C1")
    axis.set_xticks((0, 1), (f"phantom\n{len(levels)} scans", "CT-ICH\n38 scans, 5–95 %"))
    axis.set(title="noise in the brain", ylabel="SD, HU", xlim=(-0.6, 1.6), ylim=(0, 6))
    print(f"noise: {np.mean(levels):.2f} HU, autocorrelation {np.round(np.mean(correlations, axis=0), 2)}")


def _noise_of(number):
    """Return robust SD (HU) and autocorrelation at 1, 2 and 4 px of the difference to a 6-px Gaussian in the brain."""
    from scipy import ndimage

    one = made(number, hemorrhage=False)
    inside = np.isin(one.label_map, (6, 7, 8))
    index = int(np.argmax(inside.sum((1, 2)))) + 2
    core = ndimage.binary_erosion(inside[index], iterations=14)
    shown = np.round(np.clip(one.hu[index] / 80, 0, 1) * 255) * (80 / 255)  # the published figures are of renderings
    noise = shown - ndimage.gaussian_filter(shown, 6)
    values = noise[core]
    noise -= values.mean()
    level = 1.4826 * np.median(np.abs(values - np.median(values)))
    return level, [
        (noise[:, :-lag] * noise[:, lag:])[core[:, :-lag] & core[:, lag:]].mean() / values.var() for lag in (1, 2, 4)
    ]


def hardness(count=60):
    """Print what a threshold and the mean intensity make of the phantom, at the real size."""
    from ichflow import baselines
    from ichflow.phantom import patient_numbers

    dice, slices, marked, voxels = [], [], 0, 0
    for number in patient_numbers(count):
        one = made(number)
        marked, voxels = marked + int(one.mask.sum()), voxels + one.mask.size
        if one.mask.any():
            pixel_mm = one.spacing_mm[0]
            found = baselines.probabilities("threshold", one.hu, hu_range=(50, 90), pixel_mm=pixel_mm) > 0.5
            dice.append(2 * (found & one.mask).sum() / (found.sum() + one.mask.sum()))
        slices.append(_intensities(one))
    print(f"{count} patients, {len(dice)} with hemorrhage; foreground {100 * marked / voxels:.3f} % of all voxels")
    print(f"threshold 50 to 90 HU: Dice a patient {np.mean(dice):.3f} mean, {np.median(dice):.3f} median")
    for name, column in (("soft tissue within the skull", 0), ("all within the skull", 1)):
        pooled, low, high = _pooled([(one[:, column], one[:, 2] > 0) for one in slices])
        apart = [_auroc(one[:, column], one[:, 2] > 0) for one in slices if 0 < (one[:, 2] > 0).mean() < 1]
        patients = _auroc([one[:, column].mean() for one in slices], [one[:, 2].any() for one in slices])
        print(
            f"mean of {name}, AUROC: {pooled:.3f} over slices ({low:.2f} to {high:.2f}), "
            f"{np.mean(apart):.3f} within a patient, {patients:.3f} over patients"
        )


def _intensities(one):
    """Return, of each slice with 20 cm² of cranial cavity: mean HU of soft tissue, of everything, and if it bleeds."""
    from ichflow import baselines

    pixel_mm, found = one.spacing_mm[0], []
    for plane, labels, mask in zip(one.hu, one.label_map, one.mask, strict=True):
        inside = baselines.intracranial(plane, pixel_mm)
        tissue = inside & (plane > -20) & (plane < 120)
        if ((labels > 0) & (labels < 9)).sum() * pixel_mm**2 >= 2000 and tissue.any():
            found.append((plane[tissue].mean(), plane[inside].mean(), mask.any()))
    return np.array(found, float)


def _auroc(values, labels):
    from scipy import stats

    values, labels = np.asarray(values), np.asarray(labels)
    with_bleed, without = values[labels], values[~labels]
    return stats.mannwhitneyu(with_bleed, without).statistic / (with_bleed.size * without.size)


def _pooled(patients, draws=500):
    """Return the AUROC over all slices, and its 95 % interval by a bootstrap of patients."""
    rng = np.random.default_rng(SEED)

    def auroc(chosen):
        return _auroc(*(np.concatenate(column) for column in zip(*chosen, strict=True)))

    drawn = [auroc([patients[i] for i in rng.integers(len(patients), size=len(patients))]) for _ in range(draws)]
    return auroc(patients), *np.percentile(drawn, (2.5, 97.5))


def scaling(counts=(100, 300, 1000), size=64):
    """Print seconds and memory of one process that makes many small patients, one after another."""
    from ichflow.phantom import patient_numbers

    cv2.setNumThreads(1)
    started = time.process_time()
    for made_so_far, number in enumerate(patient_numbers(max(counts)), 1):
        made(number, size=size)
        if made_so_far in counts:
            seconds = time.process_time() - started
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
            print(f"{made_so_far} patients, {size} × {size}: {seconds:.0f} s, {peak:.2f} GB at most", flush=True)


def cost(count=8):
    """Print seconds of one core a patient, and the memory of the process."""
    from ichflow.phantom import patient_numbers

    cv2.setNumThreads(1)
    seconds, slices = [], []
    for number in patient_numbers(count):
        started = time.process_time()
        one = made(number)
        seconds.append(time.process_time() - started)
        slices.append(len(one.hu))
    a_slice = sum(seconds) / sum(slices)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    mean, low, high = np.mean(seconds), min(seconds), max(seconds)
    print(f"{mean:.2f} s a patient ({low:.2f} to {high:.2f}), {38 * a_slice:.2f} s a 38 slices")
    print(f"{peak:.2f} GB at most")


if __name__ == "__main__":
    main()
