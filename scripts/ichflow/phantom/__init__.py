"""A procedural head-CT phantom, written as a CT-ICH 1.3.1 folder: anatomy, lesions, scanner, layout.

Everything is generated from a seed; no patient's data is in it. Only ``numbers`` is loaded here, which needs
the standard library alone: it is asked whenever the graph of the workflow is built.
"""

from ichflow.phantom.numbers import has_hemorrhage, patient_numbers, place

__all__ = ["has_hemorrhage", "patient_numbers", "place"]
