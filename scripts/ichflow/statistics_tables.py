"""The tables beside the tests, laid out for reading: agreement of volumes, power, assumptions."""

from collections.abc import Mapping
from typing import Any, cast

import pandas as pd

from ichflow import report
from ichflow.agreement import QUANTITIES
from ichflow.numerals import format_interval, format_number
from ichflow.report import Cell, Column, Table

AGREEMENT = (
    "Predicted against true volume of test patients with hemorrhage (Bland and Altman; intraclass correlation), with "
    "95 % intervals. Limits of agreement are where 95 % of the differences are expected."
)
POWER = (
    "What this many patients could show: the smallest true effect that a test at 0.05 finds with a power of 0.8. What "
    "is smaller is missed more often, so a result that is not shown is no proof that there is none."
)
ASSUMPTIONS = "Assumptions, reported beside the tests: they choose none"


def of_agreement(agreement: pd.DataFrame) -> Table:
    """Lay out the agreement of volumes: a row a quantity, a column a model.

    Parameters
    ----------
    agreement
        As :mod:`ichflow.agreement` makes it.
    """
    told = {(row["model"], row["quantity"]): _estimate(row) for row in _records(agreement)}
    models = list(dict.fromkeys(model for model, _ in told))
    columns = [Column("quantity", False), *(Column(model, True) for model in models)]
    rows = [
        [Cell(name, name), *(Cell(told.get((model, key), report.NOTHING), None) for model in models)]
        for key, name in QUANTITIES.items()
    ]
    return Table(AGREEMENT, columns, rows)


def _estimate(row: Mapping[str, Any]) -> str:
    return row["reason"] or format_interval(float(row["value"]), float(row["low"]), float(row["high"]))


def of_power(power: pd.DataFrame) -> Table:
    """Lay out the smallest effects that this many patients could show.

    Parameters
    ----------
    power
        As :mod:`ichflow.power` makes it.
    """
    columns = [Column("comparison", False), Column("test", False), Column("n", True)]
    columns += [Column("smallest effect", False), Column("that is", False)]
    rows = [
        [
            Cell(_compared(row), row["comparison"]),
            Cell(row["test"], row["test"]),
            Cell(format_number(int(row["n"])), float(row["n"])),
            Cell(row["reason"] or f"{row['effect_name']} {format_number(float(row['effect']))}", None),
            Cell(_difference(row), None),
        ]
        for row in _records(power)
    ]
    return Table(POWER, columns, rows)


def _compared(row: Mapping[str, Any]) -> str:
    return row["comparison"] if row["model"] in row["comparison"] else f"{row['comparison']}, {row['model']}"


def _difference(row: Mapping[str, Any]) -> str:
    if pd.isna(row["difference"]):
        return report.NOTHING
    return f"{row['difference_of']}: {format_number(float(row['difference']))}"


def of_assumptions(assumptions: pd.DataFrame) -> Table:
    """Lay out the checks of assumptions.

    Parameters
    ----------
    assumptions
        One row a check, as the rule ``statistics`` writes it.
    """
    names = ("comparison", "unit", "model", "assumption", "check", "group", "n", "p", "reason")
    shown = pd.DataFrame({name: assumptions[name] for name in names})
    return report.table(shown, ASSUMPTIONS, headers={"reason": "remark"})


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", frame.to_dict("records"))
