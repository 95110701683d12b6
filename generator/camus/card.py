"""README.md of a dataset: its card, as the Hugging Face hub reads it and as people do."""

from collections.abc import Mapping
from typing import Any

# https://huggingface.co/docs/hub/datasets-cards: the sizes that its search knows
SIZES = {1_000: "n<1K", 10_000: "1K<n<10K", 100_000: "10K<n<100K"}
COLUMNS = """\
`file_name`, `mask_file_name`: paths within the subset · `patient` · `view`: 2CH or 4CH ·
`instant`: ED, ES or between · `frame`: of a half sequence, counted from 1 · `mirrored`: 1 for a
copy flipped left to right · `sex`, `age` (years), `image_quality`, `ef` (ejection fraction, %),
`frame_rate` (per second) · `source_width`, `source_height` (pixels), `source_spacing_x`,
`source_spacing_y` (mm): of the NIfTI · `left`, `top`, `width`, `height`: the picture's place in
the square, pixels · `spacing_x`, `spacing_y`: mm per pixel of the square. A number that is not
known is empty, a word `unknown`."""
DECODING = """\
```python
levels = {gray}  # of the labels {labels}
table = np.array({labels})[np.abs(np.arange(256)[:, None] - levels).argmin(1)]
labels = table[np.array(Image.open("train/masks/NAME"))]
```"""


def card(description: Mapping[str, Any]) -> str:
    """The card of a dataset, from its dataset.json. What that does not say is left out."""
    phantom, labels = description.get("phantom"), description.get("labels", [])
    subsets, made = description["subsets"], description["split"]
    pairs = sum(subset["pairs"] for subset in subsets.values())
    size = next((text for limit, text in SIZES.items() if pairs < limit), "100K<n<1M")
    title = "CAMUS echocardiograms" if labels else "Images"
    title = ("Phantom echocardiograms" if phantom else title) + " as image/mask pairs"
    head = ["---", f"pretty_name: {title}", "task_categories:", "- image-segmentation",
            "size_categories:", f"- {size}"]  # fmt: skip
    if labels and not phantom:
        head += ["license: cc-by-nc-sa-4.0", "tags:", "- medical", "- echocardiography"]
    lines = [*head, "---", "", f"# {title}", "", _what_it_is(description), ""]
    lines += ["| subset | patients | pairs |", "| --- | --- | --- |"]
    lines += [f"| {name} | {n['patients']:,} | {n['pairs']:,} |" for name, n in subsets.items()]
    lines += ["", _how_it_was_split(made), ""]
    if labels:
        lines += ["| label | structure | gray level in the masks |", "| --- | --- | --- |"]
        lines += [f"| {item['label']} | {item['name']} | {item['gray_level']} |" for item in labels]
        gray, numbers = ([item[key] for item in labels] for key in ("gray_level", "label"))
        lines += ["", DECODING.format(gray=gray, labels=numbers), ""]
        lines += ["Columns of `metadata.csv`, one row per pair:", COLUMNS, ""]
    for key in ("licence", "citation"):
        if key in description:
            lines += [f"{key.capitalize()}: {description[key]}", ""]
    return "\n".join(lines)


def _what_it_is(description: Mapping[str, Any]) -> str:
    settings = description.get("settings")
    if not settings:
        return "Image/mask pairs of another tool, split with CAMUS-ImageMask."
    what = "Phantoms, not patients: synthetic pictures" if description["phantom"] else "Real frames"
    frames = "ED and ES frames" if settings["frames"] == "key" else "frames of half sequences"
    views = " and ".join(map(str, settings["views"]))
    side = settings["size"]
    return (
        f"{what} in the form of CAMUS: {frames} of the views {views}, {side} x {side} pixels, "
        f"one channel of 8 bits. Source: {description['source']}"
    )


def _how_it_was_split(made: Mapping[str, Any]) -> str:
    if made.get("official"):
        return "Split as the authors of CAMUS did: by their subgroups of patients."
    ratios = ", ".join(f"{ratio:g}" for ratio in made["ratios"])
    kept = "all pairs of a patient in one subset"
    if made["by"] == "pair":
        kept = "by pair, so a patient may be in several subsets"
    balanced = ", ejection fraction and image quality balanced" if made["stratify"] else ""
    drawn = f"{ratios} for train, valid, test; seed {made['seed']}"
    return f"Split at random: {drawn}; {kept}{balanced}."
