"""Draws the picture of the README from a run's JSON: time, memory and CPU beside the peers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

_OURS, _FLOOR, _PEER, _INK, _PALE = "#0f766e", "#94a3b8", "#d9a05b", "#1f2937", "#64748b"
_PANELS = (
    (2, "wall", "100,000 texts, 100 ms a request", "seconds, log scale", [
        "ideal by hand, async", "ours, array", "ours, lists", "openai SDK", "openrouter SDK",
        "LangChain OpenAIEmbeddings", "LlamaIndex OpenAILike", "Haystack OpenAI embedder", "litellm",
    ]),
    (1, "us", "One request of 256 texts", "µs of client CPU a vector, log scale", [
        "httpx + pydantic by hand", "ours, array", "ours, lists", "pydantic-ai Embedder", "openai SDK",
        "LlamaIndex OpenAILike", "LangChain OpenAIEmbeddings", "openrouter SDK", "litellm", "Haystack OpenAI embedder",
    ]),
    (7, "us", "One warm query", "µs of client CPU, log scale", [
        "httpx + pydantic by hand", "ours, array", "ours, LangChain", "ours, LlamaIndex", "ours, Haystack", "openai SDK",
        "LangChain OpenAIEmbeddings", "LlamaIndex OpenAILike", "pydantic-ai Embedder", "litellm", "openrouter SDK",
        "Haystack OpenAI embedder",
    ]),
)  # fmt: skip


def draw(results: Path, picture: Path) -> None:
    """Draw what the run holds of the three panels."""
    data = json.loads(results.read_text(encoding="utf-8"))
    rows = {row["row"]: row["measured"] for row in data["rows"]}
    panels = [panel for panel in _PANELS if panel[0] in rows]
    plt.rcParams.update({"font.family": "sans-serif", "font.size": 9.5, "text.color": _INK, "axes.labelcolor": _PALE})
    heights = [sum(name in rows[panel[0]] for name in panel[4]) for panel in panels]
    figure, axes = plt.subplots(
        len(panels), 1, figsize=(8.6, 0.31 * sum(heights) + 1.0 * len(panels) + 0.4), squeeze=False,
        gridspec_kw={"height_ratios": heights}, layout="constrained",
    )  # fmt: skip
    for axis, (number, key, title, unit, names) in zip(axes[:, 0], panels, strict=True):
        _panel(axis, {name: rows[number][name] for name in names if name in rows[number]}, key, title, unit)
    about = data["about"]
    cores, python = about["cores"], about["python"]
    note = (
        f"1536 dimensions, loopback server, {cores} cores, Python {python}, {about['date']}. nox -s bench repeats it."
    )
    figure.text(0.995, 0.0, note, ha="right", va="bottom", fontsize=7.5, color=_PALE)
    figure.get_layout_engine().set(rect=(0, 0.022, 1, 0.978), hspace=0.04)  # type: ignore[union-attr]
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=200, facecolor="white")
    plt.close(figure)


def _panel(axis: Any, seen: dict[str, dict[str, Any]], key: str, title: str, unit: str) -> None:
    ordered = sorted(seen, key=lambda name: seen[name][key], reverse=True)
    values = [seen[name][key] for name in ordered]
    colours = [_colour(name) for name in ordered]
    axis.barh(ordered, values, color=colours, height=0.66, left=0)
    axis.set_xscale("log")
    axis.set_xlim(min(values) / 2.5, max(values) * 2.6)
    for at, (name, value) in enumerate(zip(ordered, values, strict=True)):
        bold = "bold" if name.startswith("ours") else "normal"
        axis.text(value * 1.06, at, _short(value), va="center", fontsize=9, fontweight=bold)
    for label, name in zip(axis.get_yticklabels(), ordered, strict=True):
        label.set_fontweight("bold" if name.startswith("ours") else "normal")
        label.set_color(_OURS if name.startswith("ours") else _INK)
    axis.set_title(title, loc="left", fontsize=11.5, fontweight="bold", pad=6)
    axis.set_xlabel(unit, fontsize=8)
    axis.tick_params(axis="y", length=0)
    axis.tick_params(axis="x", which="both", colors=_PALE, labelsize=7.5, length=2)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.spines["bottom"].set_color("#e2e8f0")
    axis.margins(y=0.02)


def _colour(name: str) -> str:
    return _OURS if name.startswith("ours") else _FLOOR if "by hand" in name else _PEER


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 20 else f"{value:.1f}"
