"""Data files, the environment, an installed package."""

import csv
import glob
import json
import os
from pathlib import Path

import tinylib

HERE = Path(__file__).parent
REGION = os.environ.get("SHOP_REGION", "north")


def rates():
    """Read the rates beside this module."""
    with (HERE / "data" / "rates.csv").open() as file:
        return {row["kind"]: float(row["rate"]) for row in csv.DictReader(file)}


def settings(name="settings"):
    """Read a file whose name is put together."""
    return json.loads((HERE / "data" / f"{name}.json").read_text())


def parts():
    """Read what a folder holds."""
    found = {}
    for path in sorted(glob.glob(str(HERE / "data" / "parts" / "*.txt"))):
        found[os.path.basename(path)] = Path(path).read_text().strip()
    return found


def optional():
    """Read a file that need not be there."""
    try:
        return (HERE / "data" / "extra.txt").read_text().strip()
    except FileNotFoundError:
        return "none"


def surroundings():
    """Read the environment now and when this was imported."""
    debug = "on" if "SHOP_DEBUG" in os.environ else "off"
    return [REGION, debug, os.getenv("SHOP_LEVEL", "5")]


def installed(value):
    """Use a package."""
    return tinylib.measure(value)
