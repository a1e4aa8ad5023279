"""Write DICOM series that a CT scanner could have made."""

from pathlib import Path

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

NAME, BIRTH = "Secret^Name", "19700101"


def write_series(folder, hu, *, row_mm=0.45, slice_mm=5.0, tilt_degrees=0.0, description="HEAD", number=2):
    """Write one axial series, a file a slice.

    ``hu`` is int16 (slice, row, column) in display order. A tilted gantry moves each slice along its own rows while the
    table moves straight on, as scanners do.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    study, series, frame = (generate_uid(entropy_srcs=[description, str(number), part]) for part in "abc")
    tilt = np.radians(tilt_degrees)
    down = [0.0, float(np.cos(tilt)), float(-np.sin(tilt))]
    _, rows, columns = hu.shape
    for index, plane in enumerate(hu):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[series, str(index)])
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        file = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        file.SOPClassUID, file.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        file.PatientName, file.PatientID, file.PatientBirthDate = NAME, "ID-12345", BIRTH
        file.Modality, file.Manufacturer = "CT", "Phantom"
        file.StudyInstanceUID, file.SeriesInstanceUID, file.FrameOfReferenceUID = study, series, frame
        file.SeriesNumber, file.InstanceNumber, file.SeriesDescription = number, index + 1, description
        file.AcquisitionNumber = 1
        file.StudyDate, file.StudyTime, file.AcquisitionTime = "20200102", "030405", "030405"
        file.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        file.Rows, file.Columns = rows, columns
        file.PixelSpacing = [row_mm, row_mm]
        file.SliceThickness = slice_mm
        file.GantryDetectorTilt = tilt_degrees
        file.ImageOrientationPatient = [1.0, 0.0, 0.0, *down]
        corner = -row_mm * columns / 2, -row_mm * rows / 2
        file.ImagePositionPatient = [corner[0], corner[1], index * slice_mm]
        file.SliceLocation = index * slice_mm
        file.SamplesPerPixel, file.PhotometricInterpretation = 1, "MONOCHROME2"
        file.BitsAllocated, file.BitsStored, file.HighBit, file.PixelRepresentation = 16, 16, 15, 0
        file.RescaleIntercept, file.RescaleSlope, file.RescaleType = -1024, 1, "HU"
        file.PixelData = (plane.astype(np.int32) + 1024).clip(0, 65535).astype("<u2").tobytes()
        file.save_as(folder / f"IM{index + 1:04d}", enforce_file_format=True)
