"""The files that make up the project."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
KEPT_DOT_FOLDERS = {".ci", ".github"}
MADE = {"__pycache__", "build", "dist"}


def project_files(folder: Path = ROOT) -> list[Path]:
    """The files that git knows or would add; where there is no git, all but what is hidden or made."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard"], cwd=folder, capture_output=True, text=True, check=True
        )
    except (FileNotFoundError, subprocess.CalledProcessError):
        return sorted(path for path in folder.rglob("*") if path.is_file() and _is_kept(path.relative_to(folder)))
    return [folder / name for name in sorted(set(listed.stdout.splitlines())) if (folder / name).is_file()]


def _is_kept(path: Path) -> bool:
    return not any(part in MADE or (part.startswith(".") and part not in KEPT_DOT_FOLDERS) for part in path.parts)
