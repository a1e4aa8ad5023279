"""Which patients the phantom has, and which of them bleed. Standard library only."""

from ichflow.errors import IchflowError

# CT-ICH has the patients 49 to 58 and 66 to 130; numbers 59 to 65 do not exist.
_FIRST = 49
_BEFORE_GAP = 10
_AFTER_GAP = 66


def patient_numbers(count: int) -> list[str]:
    """Return the first ``count`` patient numbers in CT-ICH's own order, with its gap.

    Parameters
    ----------
    count
        How many patients. Beyond CT-ICH's 75, the numbers go on after 130.

    Returns
    -------
    list of str
        ``"049"`` to ``"058"``, then ``"066"``, ``"067"`` and so on; three digits, four past 999.

    Raises
    ------
    IchflowError
        ``count`` is below 1.
    """
    if count < 1:
        raise IchflowError(f"phantom: the number of patients is {count}; expected 1 or more.")
    numbers = (_FIRST + i if i < _BEFORE_GAP else _AFTER_GAP + i - _BEFORE_GAP for i in range(count))
    return [f"{number:03d}" for number in numbers]


def place(patient: str) -> int:
    """Return a patient's place in ``patient_numbers``, from 0.

    Raises
    ------
    IchflowError
        ``patient`` is no number that the phantom gives.
    """
    number = int(patient) if patient.isdecimal() else 0
    if _FIRST <= number < _FIRST + _BEFORE_GAP:
        return number - _FIRST
    if number >= _AFTER_GAP:
        return number - _AFTER_GAP + _BEFORE_GAP
    raise IchflowError(
        f"phantom: patient {patient!r} does not exist; expected a number from 049 to 058, or 066 and above."
    )


def has_hemorrhage(patient: str, share: float) -> bool:
    """Say whether a patient of the phantom has a hemorrhage.

    Bleeding patients are spread evenly over the list: of the first n patients, ``round(share * n)`` have one,
    for every n. So the answer for one patient does not depend on how many others are made.

    Parameters
    ----------
    patient
        The patient's number, as in ``patient_numbers``.
    share
        Share of patients with a hemorrhage, 0 to 1.

    Raises
    ------
    IchflowError
        ``share`` is outside 0 to 1, or the phantom has no such patient.
    """
    if not 0 <= share <= 1:
        raise IchflowError(f"phantom: the share of patients with hemorrhage is {share}; expected 0 to 1.")
    before = place(patient)
    return round(share * (before + 1)) > round(share * before)
