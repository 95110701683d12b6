"""README.md of a dataset: its card, as the Hugging Face hub reads it and as people do."""

import json
from pathlib import Path

from camus import facts
from camus.metadata import Description


def card(description: Description, example: str) -> str:
    """The card of a dataset, from its dataset.json. example: the path of a mask within it."""
    settings, labels, subsets = (description[key] for key in ("settings", "labels", "subsets"))
    title = f"{description['source'].partition(',')[0]} as image/mask pairs"
    template = Path(__file__).with_name("card.md").read_text(encoding="utf-8")
    return template.format(
        description=description,
        title=title,
        quoted_title=json.dumps(title, ensure_ascii=False),
        licence_of_hub=facts.HUB_LICENCE if description["licence"] == facts.LICENCE else "",
        size="in their own sizes"
        if settings["fit"] == "none"
        else "{0} x {0} pixels".format(settings["size"]),
        frames="ED and ES frames" if settings["frames"] == "key" else "All frames from ED to ES",
        views=" and ".join(settings["views"]),
        counts="\n".join(f"| {s} | {n['patients']} | {n['pairs']} |" for s, n in subsets.items()),
        how=", ".join(f"{option} {value}" for option, value in description["split"].items()),
        levels="\n".join(f"| {x['label']} | {x['name']} | {x['gray_level']} |" for x in labels),
        gray_levels=[label["gray_level"] for label in labels],
        numbers=[label["label"] for label in labels],
        example=example,
    )
