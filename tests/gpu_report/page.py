"""The report as a Markdown page."""

from __future__ import annotations

from typing import Any

__all__ = ["page"]


def page(report: dict[str, Any]) -> str:
    """Facts first, then a table and notes per section; what failed says so in its place."""
    setting = report.get("setting") or {}
    lines = [f"# GPU report, {setting.get('date', 'date unknown')}", ""]
    if report["emulated"]:
        lines += ["**Emulated: tiny sizes on a CPU. This shows that the program works, and nothing else.**", ""]
    lines += _table([{"": key, "value": _flat(value)} for key, value in setting.items()])
    for section in report["sections"].values():
        lines += ["", f"## {section['title']}", ""]
        lines += _table(section.get("rows", []))
        lines += ["", *(f"- {note}" for note in section.get("notes", []))] if section.get("notes") else []
        if not section["ok"]:
            lines += ["", "**Failed:**", "", "```", str(section.get("error", "")).strip(), "```"]
        lines += ["", f"({section['seconds']} s)"]
    return "\n".join(lines) + "\n"


def _flat(value: Any) -> str:
    return "; ".join(f"{k}: {v}" for k, v in value.items()) if isinstance(value, dict) else _cell(value)


def _table(rows: list[dict[str, Any]]) -> list[str]:
    if not rows:
        return []
    columns = list(dict.fromkeys(key for row in rows for key in row))
    return [
        "| " + " | ".join(columns) + " |",
        "|" + " --- |" * len(columns),
        *("| " + " | ".join(_cell(row.get(column, "")) for column in columns) + " |" for row in rows),
    ]


def _cell(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")
