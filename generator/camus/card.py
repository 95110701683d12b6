"""README.md of a dataset: its card, as the Hugging Face hub reads it and as people do."""

from pathlib import Path

from camus.metadata import Description

# https://huggingface.co/docs/hub/datasets-cards: the sizes that its search knows
SIZES = {1_000: "n<1K", 10_000: "1K<n<10K", 100_000: "10K<n<100K"}
HUB_LICENCE = "license: cc-by-nc-sa-4.0\ntags:\n- medical\n- echocardiography\n"


def card(description: Description, example: str) -> str:
    """The card of a dataset, from its dataset.json. example: the path of a mask within it."""
    phantom, settings, labels = (description[key] for key in ("phantom", "settings", "labels"))
    subsets, split = description["subsets"], description["split"]
    pairs = sum(count["pairs"] for count in subsets.values())
    if split["by"] == "lists":
        numbers = [f"{count['patients']} in {subset}" for subset, count in subsets.items()]
        how = f"Split by lists of patients: {', '.join(numbers)}."
    else:
        kept = "a patient may be in several subsets"
        if split["by"] == "patient":
            kept = "all pairs of a patient are in one subset"
        balanced = ", ejection fraction and image quality balanced" if split["stratify"] else ""
        shares = ", ".join(f"{ratio:g}" for ratio in split["ratios"])
        drawn = f"{shares} for train, valid, test; seed {split['seed']}"
        how = f"Split at random: {drawn}; {kept}{balanced}."
    template = Path(__file__).with_name("card.md").read_text(encoding="utf-8")
    return template.format(
        **description,
        title=("Phantom" if phantom else "CAMUS") + " echocardiograms as image/mask pairs",
        size=next((text for limit, text in SIZES.items() if pairs < limit), "100K<n<1M"),
        licence_of_hub="" if phantom else HUB_LICENCE,
        frames="ED and ES frames" if settings["frames"] == "key" else "All frames from ED to ES",
        views=" and ".join(settings["views"]),
        counts="\n".join(f"| {s} | {n['patients']} | {n['pairs']} |" for s, n in subsets.items()),
        how=how,
        levels="\n".join(f"| {x['label']} | {x['name']} | {x['gray_level']} |" for x in labels),
        gray_levels=[label["gray_level"] for label in labels],
        numbers=[label["label"] for label in labels],
        example=example,
    )
