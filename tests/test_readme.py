"""What the README says is what the scripts do."""

import argparse
import re
from types import ModuleType

import cv2
import numpy as np
import pytest

import CAMUSImageMaskDatasetGenerator
import make_phantom_database
import split_master
from camus.facts import LEVELS

from . import build
from .build import DATABASE, DATASET, MASTER, README, ROOT
from .conftest import Run

SCRIPTS = (CAMUSImageMaskDatasetGenerator, split_master, make_phantom_database)


def tables() -> list[list[list[str]]]:
    """The cells of every table, row by row; the head is the first row, a ruler the second."""
    found = re.findall(r"(?:^\|.*\n)+", README, re.MULTILINE)
    rows = [[line.strip("|").split("|") for line in table.splitlines()] for table in found]
    return [[[cell.strip() for cell in row] for row in table] for table in rows]


def usage(action: argparse.Action) -> str:
    """An option as the README writes it: `--masks {gray,binary,index}`."""
    name = action.option_strings[0]
    if action.choices:
        return f"`{name} {{{','.join(action.choices)}}}`"
    if action.nargs == 0:
        return f"`{name}`"
    metavar = action.metavar if isinstance(action.metavar, str) else " ".join(action.metavar or ())
    return f"`{name} {metavar}{'...' if action.nargs == '+' else ''}`"


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_tells_every_option(script: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert script.main(["--help"]) == 0
    out = capsys.readouterr().out
    assert "example:" in out and "None" not in out and "False" not in out
    for action in script.arguments()._actions:
        assert action.help and all(name in out for name in action.option_strings)


@pytest.mark.parametrize("number", range(3))
def test_option_tables_are_those_of_the_parsers(number: int) -> None:
    options = [table for table in tables() if table[0][0].startswith("option")][number]
    told = {row[0]: row[2] for row in options[2:]}
    actions = SCRIPTS[number].arguments()._actions
    parsed = {usage(a): a for a in actions if a.option_strings and a.dest != "help"}
    assert list(told) == list(parsed)
    special = {
        "--structures": "all", "--views": "both", "--image-quality": "all", "--jobs": "all cores",
        "--ratios": "`0.7 0.2 0.1`",
    }  # fmt: skip
    for name, action in parsed.items():
        off = action.default is None or action.default is False
        default = "off" if off else f"`{action.default}`"
        if action.option_strings[0] == "--seed":
            default = "`0`"
        assert told[name] == special.get(action.option_strings[0], default)
    assert [float(ratio) for ratio in split_master.RATIOS] == [0.7, 0.2, 0.1]


def test_gray_levels() -> None:
    """The level of each label, as the README tells it."""
    (sentence,) = re.findall(r"In gray masks, the background .*? slightly\.", README, re.DOTALL)
    levels = [int(text) for text in re.findall(r"\b(?:is )?(\d+)(?=,| and|\.)", sentence)]
    assert tuple(level for level in levels if level not in (1, 2, 3)) == LEVELS["gray"]


def test_pictures_are_there_and_small() -> None:
    shown = re.findall(r"!\[[^]]+\]\((asset/[^)]+)\)", README)
    there = {path.relative_to(ROOT).as_posix() for path in (ROOT / "asset").iterdir()}
    assert set(shown) == there and len(there) == 1
    for name in there:
        data = (ROOT / name).read_bytes()
        assert len(data) < 400_000
        assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) is not None


def test_two_commands_set_up_and_run() -> None:
    blocks = re.findall(r"^```bash\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        assert block.startswith("python3 -m venv .venv &&\n")
        assert all(len(line) <= 90 for line in block.splitlines())


def test_the_files_and_the_card(generate: Run, split: Run) -> None:
    """The README names every file, and the card every column."""
    for patient in (1, 2, 3):
        build.write_pair(DATABASE, f"patient000{patient}_2CH_ED")
    generate(DATABASE, MASTER)
    split(MASTER, DATASET)
    for folder in (MASTER, DATASET, DATASET / "train"):
        for path in folder.iterdir():
            name = re.sub(r"subgroup_\w+", "subgroup_*", path.name)
            assert re.sub(r"train_\w+_samples", "train_*_samples", name) in README, path
    card = (DATASET / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\n") and card.count("\n") < 80
    head, *cells = re.findall(r"^\| (`.*?) \|", card, re.MULTILINE)
    assert re.findall(r"`(\w+)`", head + "".join(cells)) == list(build.rows(MASTER)[0])
    assert "license: cc-by-nc-sa-4.0" in card and "10.1109/TMI.2019.2900516" in card
    assert "| train | 1 | 1 |" in card and "seed 0" in card and "| 3 | left atrium | 255 |" in card
    for name in re.findall(r"!\[[^]]+\]\(([^)]+)\)", card):
        assert (DATASET / name).exists()


def test_the_readme_is_short_and_its_figures_are_filled_in() -> None:
    assert README.count("\n") < 240
    assert not re.search(r"\b(FUZZ|KILLS|SPEED)\b", README)


def test_every_file_named_in_a_command_is_there() -> None:
    for name in re.findall(r"(?:generator/)?\w+\.py|tests/\w+\.txt", README):
        assert (ROOT / name).exists() or (ROOT / "generator" / name).exists(), name
    for name in re.findall(r"python -m (tests\.\w+)", README):
        assert (ROOT / f"{name.replace('.', '/')}.py").exists(), name
