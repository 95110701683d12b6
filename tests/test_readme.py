"""What the README says is what the scripts do."""

import argparse
import re
from typing import Any
from unittest import mock

import pytest

import CAMUSImageMaskDatasetGenerator
import make_phantom_database
import split_master
from camus.facts import LEVELS

from . import build
from .build import DATABASE, DATASET, MASTER, README, ROOT
from .conftest import Run

SCRIPTS = (CAMUSImageMaskDatasetGenerator, split_master, make_phantom_database)
TABLES = re.findall(r"^\| option .*\n.*---.*\n((?:\|.*\n)+)", README, re.MULTILINE)
# Defaults that the README words in its own way
DEFAULTS = {"--structures": "all", "--views": "both", "--image-quality": "all",
            "--jobs": "all cores", "--ratios": "`0.7 0.2 0.1`", "--seed": "`0`", "--fold": "`0`",
            "--format": "`jpg`, but `png` with index masks"}  # fmt: skip


def usage(action: argparse.Action) -> str:
    """An option as the README writes it: `--masks {gray,binary,index}`."""
    name = action.option_strings[0]
    if action.choices:
        return f"`{name} {{{','.join(action.choices)}}}`"
    if action.nargs == 0:
        return f"`{name}`"
    metavar = action.metavar if isinstance(action.metavar, str) else " ".join(action.metavar or ())
    return f"`{name} {metavar}{'...' if action.nargs == '+' else ''}`"


@pytest.mark.parametrize(("script", "table"), [*zip(SCRIPTS, TABLES, strict=True)])
def test_options_are_those_of_the_parsers(script: Any, table: str, capsys: Any) -> None:
    assert script.main(["--help"]) == 0
    text = capsys.readouterr().out
    assert "example:" in text and "None" not in text and "False" not in text
    expected = []
    with mock.patch("camus.cli.run") as run:
        script.main()
    for action in run.call_args.args[0]._actions:
        assert action.help and all(name in text for name in action.option_strings)
        if action.option_strings and action.dest != "help":
            is_off = action.default is None or action.default is False
            default = "off" if is_off else f"`{action.default}`"
            expected.append([usage(action), DEFAULTS.get(action.option_strings[0], default)])
    assert [line.strip("| ").split(" | ")[::2] for line in table.splitlines()] == expected
    assert split_master.RATIOS == ["0.7", "0.2", "0.1"]


def test_gray_levels() -> None:
    (sentence,) = re.findall(r"In gray masks, the background .*?\.", README, re.DOTALL)
    assert tuple(map(int, re.findall(r"\) (?:is )?(\d+)", sentence))) == LEVELS["gray"]


def test_files_and_columns(generate: Run, split: Run) -> None:
    """The README names every file, the card every column; and what the README names is there."""
    for patient in range(10):
        build.write_pair(DATABASE, f"patient000{patient}_2CH_ED")
    generate(DATABASE, MASTER)
    split(MASTER, DATASET)
    for folder in (MASTER, DATASET, DATASET / "train"):
        for path in folder.iterdir():
            name = re.sub(r"subgroup_\w+", "subgroup_*", path.name)
            assert re.sub(r"train_\w+_samples", "train_*_samples", name) in README, path
    card = (DATASET / "README.md").read_text(encoding="utf-8")
    head, *cells = re.findall(r"^\| (`.*?) \|", card, re.MULTILINE)
    assert re.findall(r"`(\w+)`", head + "".join(cells)) == list(build.rows(MASTER)[0])
    for name in re.findall(r"(?:generator/)?\w+\.py|tests/\w+\.txt|asset/[\w.]+", README):
        assert (ROOT / name).exists(), name
