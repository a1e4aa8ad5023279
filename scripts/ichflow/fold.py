"""One fold as a training needs it: which files are in which part, and what makes it this fold and no other."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ichflow import splits
from ichflow.splits import TRAIN, VALIDATION
from ichflow.tables import Row


@dataclass(frozen=True)
class Fold:
    """One fold.

    Attributes
    ----------
    patients
        Part to its patients.
    shards
        Part to their shards, in the same order.
    digests
        What is fitted to or chosen by: part, without the test part, to patient to digest of the shard.
    """

    patients: dict[str, list[str]]
    shards: dict[str, list[str]]
    digests: dict[str, dict[str, str]]

    @classmethod
    def find(cls, assigned: Sequence[Row], number: int, shards: Iterable[str], digests: Iterable[str]) -> "Fold":
        """Pick the files of one fold.

        Parameters
        ----------
        assigned
            Rows of the split.
        number
            Of the fold, from 0.
        shards, digests
            Files of all patients, named by them.
        """
        patients = {part: splits.members(assigned, number, part) for part in splits.PARTS}
        shard_of = {Path(path).stem: path for path in shards}
        digest_of = {Path(path).stem: Path(path) for path in digests}
        return cls(
            patients,
            {part: [shard_of[patient] for patient in members] for part, members in patients.items()},
            {
                part: {patient: digest_of[patient].read_text(encoding="utf-8").split()[0] for patient in patients[part]}
                for part in (TRAIN, VALIDATION)
            },
        )

    def provenance(self) -> dict[str, Any]:
        """Return patients and digests as they stand in a model's provenance."""
        used = {patient: digest for part in self.digests.values() for patient, digest in sorted(part.items())}
        return {"patients": self.patients, "shards": used}
