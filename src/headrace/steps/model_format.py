"""Models ⇄ two files: the card as JSON, the estimator as a skops archive."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from headrace.core.errors import FormatError
from headrace.core.values import canonical, encode
from headrace.formats.declared import is_named, is_path
from headrace.formats.files import materialise, only_file
from headrace.formats.json_value import FILE, JsonFormat
from headrace.steps.model import Model, ModelCard

ARCHIVE = "estimator.skops"
CARD = "card.json"
NAME = "headrace.steps.model_format:ModelFormat"


class ModelFormat:
    """`Model` ⇄ ``card.json`` and ``estimator.skops``.

    Loading reads the card and the archive's bytes; the estimator is made when it is first used, and then only of
    trusted classes. Equal bytes hold within one version of scikit-learn and of skops.
    """

    name = NAME
    version = 1

    def handles(self, declared: object) -> bool:
        """Say whether a `Model` is declared."""
        return is_named(declared, ("headrace.steps.model.Model",), subclasses=False)

    def save(self, value: object, folder: Path, declared: object) -> None:
        """Write both files. Raises FormatError for another value, or an estimator that couldn't be loaded again."""
        if not isinstance(value, Model):
            raise FormatError(
                f"A Model is declared, but got a {type(value).__module__}.{type(value).__qualname__}",
                hint="return a headrace.steps.Model, made of an estimator and its card",
            )
        for name, data in files_of(value).items():
            (folder / name).write_bytes(data)

    def load(self, files: Mapping[str, Path], declared: object) -> object:
        """Read both files."""
        if is_path(declared):
            return materialise(files, as_folder=True)
        card = _card_in(only_file(files, CARD, self.name))
        archive = only_file(files, ARCHIVE, self.name)
        return Model(card=card, archive=archive.read_bytes())


def _card_in(path: Path) -> ModelCard:
    """Read a card. One from before there were other tasks doesn't say that it is of two labels."""
    try:
        tree = json.loads(path.read_bytes())
        is_older = "task" not in tree["fields"]
    except (ValueError, TypeError, KeyError):
        is_older = False  # damaged: the format says what is wrong
    with TemporaryDirectory(prefix="headrace-card-") as folder:
        if is_older:
            tree["fields"] |= {"task": "binary", "labels": encode(())}
            path = Path(folder, CARD)
            path.write_text(canonical(tree) + "\n", encoding="ascii")
        card = JsonFormat().load({FILE: path}, ModelCard)
    assert isinstance(card, ModelCard)
    return card


def files_of(model: Model) -> dict[str, bytes]:
    """Give the files of a model's artifact by name. The card is written as `JsonFormat` reads it."""
    return {CARD: (canonical(encode(model.card)) + "\n").encode("ascii"), ARCHIVE: model.archive}
