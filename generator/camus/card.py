"""README.md of a dataset: its card, as the Hugging Face hub reads it and as people do.

card.md is its template. What it tells of CAMUS is from Leclerc et al. 2019: the abstract (who drew
the masks) and the text (scanner, hospital).
"""

import json
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from string import Template
from typing import Any

from camus import facts, metadata
from camus.metadata import Description

HUB_SIZES = {10**3: "n<1K", 10**4: "1K<n<10K", 10**5: "10K<n<100K", 10**6: "100K<n<1M"}
CAMUS_ONLY = "<!-- CAMUS only -->\n"  # stands before and after what is only true of CAMUS


def options(settings: Mapping[str, Any]) -> str:
    """Settings as options. {"size": 512, "views": ["2CH"]}: --size 512 --views 2CH."""
    words: list[str] = []
    for name, value in settings.items():
        values = value if isinstance(value, list) else [value]
        if value is True:
            words.append(f"--{name}")
        elif value is not False and value is not None and value != []:
            words += [f"--{name.replace('_', '-')}", *map(str, values)]
    return " ".join(words)


def how_it_was_split(split: Mapping[str, Any]) -> str:
    """The options of the split as a sentence."""
    if "ratios" not in split:
        return "Lists of patients say who is in which subset. No patient is in two subsets."
    others = "No patient is in two subsets."
    if split["by"] == "pair":
        others = "A patient may be in several subsets."
    shares = " / ".join(f"{float(100 * Fraction(text)):g}" for text in split["ratios"])
    by = " by ejection fraction and image quality"
    stratified = f"stratified{by}" if split["stratify"] else "not stratified"
    seed = f"seed {split['seed']}, fold {split['fold']}"
    return f"Split at random: {shares} % of the {split['by']}s, {stratified}, {seed}. {others}"


def card(description: Description, example: str, deleted: int) -> str:
    """The card of a dataset, from its dataset.json.

    example: the path of a mask within it. deleted: how many pairs of the master were deleted.
    """
    settings = {name: description["settings"][name] for name in metadata.SETTINGS}
    labels, subsets = description["labels"], description["subsets"]
    split, size = description["split"], settings["size"]
    has_lists = "ratios" not in split
    counts = [f"| {name} | {n['patients']} | {n['pairs']} |" for name, n in subsets.items()]
    title = f"{description['source'].partition(',')[0]} as image/mask pairs"
    number, patients = (sum(s[what] for s in subsets.values()) for what in ("pairs", "patients"))
    words = {
        "title": title,
        "quoted_title": json.dumps(title, ensure_ascii=False),
        "licence_of_hub": facts.HUB_LICENCE if description["licence"] == facts.LICENCE else "",
        "size_category": next((v for k, v in HUB_SIZES.items() if number < k), "1M<n<10M"),
        "number": f"{number:,}",
        "synthetic": "synthetic " if description["phantom"] else "",
        "patients": "" if split["by"] == "pair" else f" from {patients:,} patients",
        "size": f"{size} x {size} pixels" if size else "in their own sizes (resize to batch them)",
        "frames": "ED and ES frames" if settings["frames"] == "key" else "all frames from ED to ES",
        "views": " and ".join(settings["views"]),
        "counts": "\n".join(counts),
        "split": how_it_was_split(split),
        "levels": "\n".join(f"| {x['label']} | {x['name']} | {x['gray_level']} |" for x in labels),
        "jpg": "JPG changes these levels slightly. " if example.endswith("jpg") else "",
        "gray_levels": [label["gray_level"] for label in labels],
        "numbers": [label["label"] for label in labels],
        "example": example,
        "lists": " `.` is this folder, which holds the lists." if has_lists else "",
        "options": options(settings),
        "split_options": "--subgroups ." if has_lists else options(split),
        "deleted": deleted,
    }
    parts = Path(__file__).with_name("card.md").read_text("utf-8").split(CAMUS_ONLY)
    if description["source"] != facts.SOURCE:
        parts = parts[::2]
    return Template("".join(parts)).substitute(description | words)
