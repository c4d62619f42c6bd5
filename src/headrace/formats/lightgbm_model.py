"""LightGBM models ⇄ the library's own text, and for its scikit-learn classes their attributes beside it."""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headrace.core.errors import FormatError
from headrace.formats.declared import is_named, is_path
from headrace.formats.files import materialise, only_file, reading
from headrace.formats.known import known_format
from headrace.formats.skops_estimator import check_declared, dump, load

MODEL = "model.txt"
BOOSTER = "booster.json"
WRAPPER = "wrapper.skops"
THREADS = re.compile(r"^\[num_threads: -?\d+\]$", re.MULTILINE)
THREAD_PARAMETERS = frozenset({"num_threads", "num_thread", "nthread", "nthreads", "n_jobs"})


class LightGBMFormat:
    """A Booster, LGBMClassifier, LGBMRegressor or LGBMRanker ⇄ ``model.txt``, as LightGBM and other programs read it.

    The number of threads of the fit is left out of the text, as it is the machine's. The scikit-learn classes keep
    parameters, classes, evaluation results and the best iteration; a Booster keeps best iteration, best score and
    those parameters that are JSON values, but not its data sets. A subclass of theirs is refused. Equal bytes hold
    within one version of LightGBM.
    """

    name = "lightgbm"
    version = 1

    def handles(self, declared: object) -> bool:
        """Say whether a LightGBM model, or a base class of one, is declared."""
        known = known_format(self.name)
        names = (known.types if known else frozenset()) | {"sklearn.base.BaseEstimator", *_MIXINS}
        return is_named(declared, names, subclasses=False)

    def save(self, value: Any, folder: Path, declared: object) -> None:
        """Write the model. Raises FormatError for another value, and for a custom objective or metric."""
        import lightgbm

        check_declared(value, declared)
        if type(value) is lightgbm.Booster:
            _save_booster(value, folder)
            return
        if type(value) not in _wrappers():
            raise FormatError(
                f"A {type(value).__module__}.{type(value).__qualname__} is no model class of LightGBM's own",
                hint="return its Booster, or declare Annotated[…, Pickle]",
            )
        wrapper = copy.copy(value)
        booster = wrapper.__dict__.pop("_Booster", None)
        for name in ("_evals_result", "_best_score"):
            wrapper.__dict__[name] = _plain(wrapper.__dict__.get(name))
        (folder / WRAPPER).write_bytes(dump(wrapper, type(value)))
        if booster is not None:
            _save_booster(booster, folder)

    def load(self, files: Mapping[str, Path], declared: object) -> object:
        """Read the model."""
        if is_path(declared):
            return materialise(files)
        value = _load_wrapper(files, declared) if WRAPPER in files else _load_booster(files)
        check_declared(value, declared)
        return value


_MIXINS = ("sklearn.base.ClassifierMixin", "sklearn.base.RegressorMixin")


def _wrappers() -> tuple[type, ...]:
    import lightgbm

    return lightgbm.LGBMClassifier, lightgbm.LGBMRegressor, lightgbm.LGBMRanker


def _save_booster(booster: Any, folder: Path) -> None:
    text = booster.model_to_string(num_iteration=-1)
    parameters = {name: value for name, value in sorted(booster.params.items()) if name not in THREAD_PARAMETERS}
    state = {
        "best_iteration": booster.best_iteration,
        "best_score": _plain(booster.best_score),
        "params": {name: value for name, value in parameters.items() if _is_json(value)},
    }
    (folder / MODEL).write_text(THREADS.sub("[num_threads: 0]", text), encoding="utf-8", newline="\n")
    (folder / BOOSTER).write_text(json.dumps(state, separators=(",", ":")), encoding="ascii")


def _load_booster(files: Mapping[str, Path]) -> Any:
    import lightgbm

    with reading(f"The LightGBM model {MODEL!r}", lightgbm.basic.LightGBMError):
        text = only_file(files, MODEL, "lightgbm").read_text(encoding="utf-8")
        state = json.loads(only_file(files, BOOSTER, "lightgbm").read_text(encoding="ascii"))
        _check_whole(text)
        booster = lightgbm.Booster(model_str=text)
        booster.best_iteration = state["best_iteration"]
        booster.best_score.update(state["best_score"])
        booster.params = state["params"]
    return booster


def _check_whole(text: str) -> None:
    """LightGBM ends the process, or reads fewer trees, when its text is cut short: look before it does."""
    if not text.startswith("tree\n") or "\nend of trees\n" not in text or "\npandas_categorical:" not in text:
        raise ValueError("the text is cut short")


def _load_wrapper(files: Mapping[str, Path], declared: object) -> Any:
    value: Any = load(files[WRAPPER].read_bytes(), declared)
    if type(value) in _wrappers() and value.__dict__.get("fitted_"):
        value._Booster = _load_booster(files)
    return value


def _plain(value: Any) -> Any:
    """Turn NumPy's numbers, at any depth of dicts and lists, into Python's: fewer and smaller files."""
    if isinstance(value, dict):
        kept = copy.copy(value)
        for key, item in value.items():
            kept[key] = _plain(item)
        return kept
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.item() if type(value).__module__ == "numpy" and hasattr(value, "item") else value


def _is_json(value: object) -> bool:
    if isinstance(value, list):
        return all(_is_json(item) for item in value)
    return value is None or isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value))
