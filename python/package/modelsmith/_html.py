"""What a notebook shows: tables and plots, without anything that is loaded from elsewhere."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from typing import Any

_STYLE = (
    "<style>.modelsmith td,.modelsmith th{text-align:right;padding:2px 10px;white-space:nowrap}"
    ".modelsmith td:first-child,.modelsmith th:first-child{text-align:left}"
    ".modelsmith .good{color:#1a7f37;font-weight:600}.modelsmith .bad{color:#b42318;font-weight:600}"
    ".modelsmith rect{fill:#4a7ebb}.modelsmith text{font:11px sans-serif;fill:currentColor}</style>"
)


def _page(*parts: str) -> str:
    return f"{_STYLE}<div class='modelsmith'>{''.join(parts)}</div>"


def _table(head: Sequence[Any], rows: Iterable[Sequence[Any]]) -> str:
    def line(tag: str, cells: Sequence[Any]) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(str(c))}</{tag}>" for c in cells) + "</tr>"

    return f"<table>{line('th', head)}{''.join(line('td', r) for r in rows)}</table>"


def _fields(pairs: Iterable[tuple[str, Any]]) -> str:
    rows = "".join(f"<tr><th>{html.escape(k)}</th><td style='text-align:left'>{html.escape(str(v))}</td></tr>" for k, v in pairs)
    return f"<table>{rows}</table>"


def _bytes(n: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if n < 1024:
            return f"{n:.0f} B" if unit == "B" else f"{n:.1f} {unit}"
        n /= 1024
    return f"{n:.1f} GiB"


def _number(x: Any) -> str:
    return "-" if x is None else f"{x:.3g}" if isinstance(x, float) else str(x)


def _bars(title: str, pairs: Sequence[tuple[str, float]], unit: str) -> str:
    """Bars with names, the longest as wide as the plot."""
    if not pairs:
        return ""
    most = max(v for _, v in pairs) or 1
    rows = []
    for i, (name, value) in enumerate(pairs):
        y = 20 + 18 * i
        name = name if len(name) <= 44 else name[:42] + ".."
        rows.append(
            f"<text x='300' y='{y + 11}' text-anchor='end'>{html.escape(name)}</text>"
            f"<rect x='308' y='{y}' width='{max(1, 300 * value / most):.1f}' height='13'/>"
            f"<text x='{314 + 300 * value / most:.1f}' y='{y + 11}'>{_number(value)} {unit}</text>"
        )
    height = 26 + 18 * len(pairs)
    return f"<svg width='720' height='{height}'><text x='0' y='12'>{html.escape(title)}</text>{''.join(rows)}</svg>"


def _histogram(title: str, samples: Sequence[float], unit: str) -> str:
    """How often each value occurs; the last bar holds what lies beyond the 99th percentile."""
    if len(samples) < 5:
        return ""
    ordered = sorted(samples)
    low, high = ordered[0], ordered[min(len(ordered) - 1, math.ceil(0.99 * len(ordered)))]
    bins = 40
    step = (high - low) / bins or 1e-9
    counts = [0] * bins
    for s in samples:
        counts[min(bins - 1, int((s - low) / step))] += 1
    most = max(counts)
    bars = "".join(
        f"<rect x='{15 * i}' y='{120 - 100 * n / most:.1f}' width='13' height='{100 * n / most:.1f}'/>" for i, n in enumerate(counts)
    )
    axis = f"<text x='0' y='136'>{low:.3g} {unit}</text><text x='600' y='136' text-anchor='end'>{high:.3g} {unit}</text>"
    return f"<svg width='620' height='142'><text x='0' y='12'>{html.escape(title)}</text>{bars}{axis}</svg>"


def model(found: dict[str, Any]) -> str:
    """A model or an engine, from its inspection."""
    ports = [("input", p) for p in found["inputs"]] + [("output", p) for p in found["outputs"]]
    fields = [
        ("file", found["path"]),
        ("format", found["format"]),
        ("producer", found["producer"]),
        ("opsets", ", ".join(f"{d} {v}" for d, v in found["opsets"].items())),
        ("nodes", found["nodes"]),
        ("weights", f"{found['weights']}, {_bytes(sum(found['weight_bytes'].values()))}"),
    ]
    table = _table(["", "name", "type"], [(kind, p["name"], p["type"]) for kind, p in ports])
    bars = _bars("operators", [(o["op"], o["count"]) for o in found["ops"][:16]], "")
    return _page(_fields(fields), table, bars)


def checkpoint(found: Any) -> str:
    """A checkpoint: its tensors, the first fifty."""
    names = list(found)
    rows = [(n, found.dtype(n), "x".join(map(str, found.shape(n)))) for n in names[:50]]
    more = f"<p>and {len(names) - 50} more</p>" if len(names) > 50 else ""
    fields = _fields([("file", found.path), ("format", found.format), ("tensors", len(names))])
    return _page(fields, _table(["tensor", "type", "shape"], rows), more)


def comparison(found: dict[str, Any]) -> str:
    """A comparison: the verdict, and each output."""
    kind = "good" if found["verdict"] == "agree" else "bad"
    verdict = f"<p><span class='{kind}'>{found['verdict']}</span>: {html.escape(found['reason'])}; judge: {html.escape(found['judge'])}</p>"
    head = ["output", "type", "max diff", "mean diff", "cosine", "largest", "outside"]
    rows = [
        (
            o["name"],
            o["ty"],
            _number(o["max_abs"]),
            _number(o["mean_abs"]),
            f"{o['cosine']:.7f}" if o["cosine"] is not None else "-",
            _number(o["largest"]),
            o["mismatch"] or f"{o['outside']} of {o['count']}",
        )
        for o in found["outputs"]
    ]
    samples = f"<p>{len(found['samples'])} samples, {html.escape(found['tolerance'])}</p>"
    return _page(verdict, _table(head, rows), samples)


def _bench(found: dict[str, Any]) -> list[str]:
    latency = found["latency"]
    head = ["", "mean", "median", "95 %", "min", "max"]
    row = ["latency in ms", *(_number(latency[k]) for k in ("mean", "p50", "p95", "min", "max"))]
    fields = _fields(
        [
            ("model", found["model"]),
            ("runner", f"{found['runner']}, {found.get('level') or ''} {found.get('threads') or ''} threads"),
            ("throughput", f"{latency['throughput']:.1f} runs/s"),
            ("peak memory", _bytes(found["peak_memory"] or 0)),
        ]
    )
    parts = [fields, _table(head, [row]), _histogram("runs by latency", latency["samples"], "ms")]
    layers = (found.get("profile") or {}).get("layers") or []
    slowest = sorted(layers, key=lambda s: -s["ms"])[:16]
    parts.append(_bars("slowest steps", [(s["label"], s["ms"]) for s in slowest], "ms"))
    return parts


def report(found: Any) -> str:
    """The document of any command."""
    schema = found.get("schema", "")
    parts = _bench(found) if schema.startswith("modelsmith.bench") else []
    if not parts:
        plain = [(k, v) for k, v in found.items() if not isinstance(v, (dict, list))]
        parts.append(_fields(plain))
        if found.get("verification"):
            parts.append(comparison(found["verification"]))
        for name in ("findings", "passes", "steps"):
            rows = [r for r in found.get(name) or [] if isinstance(r, dict)][:30]
            if rows:
                head = [k for k, v in rows[0].items() if not isinstance(v, (dict, list))]
                parts.append(f"<p>{name}</p>" + _table(head, [[_number(r.get(k)) for k in head] for r in rows]))
    if found.notes:
        parts.append("".join(f"<p>{html.escape(n)}</p>" for n in found.notes))
    return _page(*parts)
