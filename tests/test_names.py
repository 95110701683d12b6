"""Who is who: patients are told apart by their whole name, or not at all."""

import pytest

from camus import names


@pytest.mark.parametrize(
    ("name", "patient"),
    [
        ("patient0001_2CH_ED", "patient0001"),
        ("mirrored_patient0001_4CH_ES", "patient0001"),
        ("patient_Müller_2CH_ED", "patient_müller"),
        ("patient0007_half_sequence_2CH_12", "patient0007"),
        ("patient0001_ED_2CH", "patient0001"),
        ("patient0001-2CH-ED", "patient0001"),
        ("patient1_frame3_4CH", "patient1"),
        ("ED of PATIENT 12", "patient 12"),
        ("ES_4CH_Patient_1", "patient_1"),
        ("img_patient0003-view4", "patient0003"),
        ("img12_patient0003", "patient0003"),
        ("image_patient-2-4_7", "patient-2-4"),
        ("ACDC_patient001_frame01", "acdc_patient001"),
        ("ACDC-patient001 2CH", "acdc_patient001"),
        ("patient0002_4", "patient0002"),
        ("flipped_patient0002_aug3_2CH", "patient0002"),
    ],
)
def test_patients_are_read_off_names(name: str, patient: str) -> None:
    assert names.patients_in([name]) == [patient]


@pytest.mark.parametrize(
    ("stems", "patients"),
    [
        (["a_patient-2-4_7", "a_patient-2-4_8", "a_patient-2-5_7"], [0, 0, 1]),
        (["ACDC_patient001_1", "CAMUS_patient001_1", "camus-patient001_2"], [0, 1, 1]),
        (["ACDC_patient001_2CH_ED", "patient002_2CH_ED"], [0, 1]),
        (["patient1_ED", "patient0001_ES", "Patient-01_3"], [0, 0, 0]),
        (["img1_patient7", "img2_patient7", "img3_patient8"], [0, 0, 1]),
        (["patient7_2CH_ED", "aug_patient7_2CH_ED", "rotated2_patient7_2CH_ED"], [0, 0, 0]),
        (["patient_Mu\u0308ller_2CH_ED", "patient_M\u00fcller_2CH_ES"], [0, 0]),
    ],
)
def test_one_patient_or_two(stems: list[str], patients: list[int]) -> None:
    found = [names.patient_key(name) for name in names.patients_in(stems)]
    first = list(dict.fromkeys(found))
    assert [first.index(name) for name in found] == patients


@pytest.mark.parametrize(
    "stems",
    [
        ["0001_2CH_ED"],
        ["patient_2_4"],  # patient 2, or patient 2-4
        ["patient0001_baseline_2CH_ED"],
        ["patient1.5_2"],
        ["patient1a2b_2CH"],
        ["patient001_ACDC_2CH"],
        ["patient0001 (1)_2CH_ED"],
        ["patient-12-1", "patient-12-2", "patient-12-3"],  # patients, or frames of one
        ["patient7", "other_patient7"],  # another data set, or a copy of the same picture
        ["a1b_patient7", "a2b_patient7"],  # data sets, or frames numbered in front
    ],
)
def test_an_unclear_patient_is_refused(stems: list[str]) -> None:
    with pytest.raises(ValueError) as error:
        names.patients_in(stems)
    assert str(error.value) == stems[0]
