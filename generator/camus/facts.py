"""What is known of CAMUS. No code.

Source, unless another is named: Leclerc et al. 2019 (CITATION) and the files of the release.
"""

PATIENTS = 500  # of the release: patient0001 to patient0500
VIEWS = ("2CH", "4CH")  # two-chamber and four-chamber view
KEY_INSTANTS = ("ED", "ES")  # end-diastole and end-systole, of a key frame
HALF_SEQUENCE = "half_sequence"  # all frames from ED to ES or from ES to ED, in the instant's place

PATIENT = r"patient((?!patient|_[24]CH_)[^/,;\t])*"  # a name that a list of patients can hold
# Patient, view and instant in the name of a source, without _gt and suffix: patient0001_2CH_ED
SOURCE_NAME = rf"(?P<patient>{PATIENT})_(?P<view>2CH|4CH)_(?P<instant>ED|ES|half_sequence)"
MIRRORED = "mirrored_"  # in front of the name of a pair that is flipped left to right

STRUCTURES = {"lv": 1, "myo": 2, "la": 3}  # the label of each in the masks
LABEL_NAMES = ("background", "left-ventricle cavity", "left-ventricle myocardium", "left atrium")
# The gray level of labels 0, 1, 2, 3 in a mask file, by kind of mask
LEVELS = {"gray": (0, 85, 170, 255), "binary": (0, 255, 255, 255), "index": (0, 1, 2, 3)}

UNKNOWN = "unknown"
BETWEEN = "between"  # the instant of a frame between ED and ES
QUALITIES = ("Good", "Medium", "Poor")  # ImageQuality of a view
# Bands of the ejection fraction, percent: at risk, between, healthy
EF_BANDS = ("45 % or less", "45 to 55 %", "55 % or more")

# The lists of patients in database_split of the release, by subset
SUBGROUPS = {
    "train": "subgroup_training.txt",
    "valid": "subgroup_validation.txt",
    "test": "subgroup_testing.txt",
}
SUBSETS = tuple(SUBGROUPS)

HOMEPAGE = "https://humanheart-project.creatis.insa-lyon.fr/database"
SOURCE = "CAMUS, https://www.creatis.insa-lyon.fr/Challenge/camus"
# The terms of the release, in its MANDATORY_CITATION.md
LICENCE = "CC BY-NC-SA 4.0, for non-commercial scientific research only"
HUB_LICENCE = "license: cc-by-nc-sa-4.0\ntags:\n- medical\n- echocardiography\n"  # in a card's head
CITATION = (
    "S. Leclerc, E. Smistad, J. Pedrosa, A. Ostvik, et al. "
    '"Deep Learning for Segmentation using an Open Large-Scale Dataset in 2D Echocardiography" '
    "in IEEE Transactions on Medical Imaging, vol. 38, no. 9, pp. 2198-2210, Sept. 2019, "
    "doi:10.1109/TMI.2019.2900516"
)
PHANTOM_SOURCE = "phantom echocardiograms, not patients"
PHANTOM_LICENCE = "none needed: phantoms are synthetic"
PHANTOM_CITATION = "nothing: phantoms are synthetic"
