"""Package: a folder that predicts by itself, shown to predict the same in a fresh process."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.core.errors import DataError, StepError
from headrace.core.step import step
from headrace.formats.table import TableLike
from headrace.steps.model import Model, ModelCard
from headrace.steps.registry import ModelVersion
from headrace.steps.tables import collect, scan

if TYPE_CHECKING:
    import polars as pl

ARCHIVE = "estimator.skops"
N_SAMPLE_ROWS = 10
CHECK_SECONDS = 300
PACKAGE_VERSION = 1
NEEDED = ("numpy", "polars", "scikit-learn", "scipy", "skops")


@step
def package(
    model: Model, version: ModelVersion, sample: TableLike, *, description: str = "", trusts: Sequence[type] = ()
) -> Path:
    """Write a model into a folder that predicts without Headrace, and try it out.

    The folder holds the estimator (``estimator.skops``; no pickle), ``model.json`` (what it takes and says, its
    version and digest, the classes that may be loaded), ``predict.py`` (CSV or JSON rows in, labels and scores or
    numbers out), ``requirements.txt`` with exact versions, ``README.md``, and sample rows with the predictions expected
    for them. Before it is given back, ``predict.py`` predicts the sample in a fresh Python process, and each score must
    be equal to the last bit. Equal models, versions and samples give equal files.

    Parameters
    ----------
    model, version
        What is packaged, and what it is called.
    sample
        A table of which the first ten rows go along as a sample: features alone, without the label.
    description
        A paragraph for the README.
    trusts
        Classes of your own inside the estimator. Their modules must be there where the package is used.

    Raises
    ------
    DataError
        A feature isn't in the sample, or the sample is empty.
    StepError
        The packaged model doesn't predict what the model does.

    Examples
    --------
    In a pipeline: ``package(model, version, parts.test)``. Then, in the folder: ``python predict.py rows.csv``.
    """
    from tempfile import mkdtemp

    trusted_model = model.trusting(*trusts)
    names = [feature.name for feature in model.card.features]
    rows = _sample(trusted_model, sample, names)
    folder = Path(mkdtemp(prefix="headrace-package-")) / f"{version.name}-{version.version}"
    folder.mkdir()
    (folder / ARCHIVE).write_bytes(trusted_model.archive)
    requirements = _requirements(trusted_model)
    card = _card(trusted_model, version, requirements, description)
    (folder / "model.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    (folder / "predict.py").write_bytes((Path(__file__).parent / "package_files" / "predict.py").read_bytes())
    lines = [f"{name}=={number}" for name, number in requirements.items()]
    (folder / "requirements.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "sample_input.csv").write_text(_csv(names, rows.iter_rows()), encoding="utf-8")
    (folder / "expected_output.csv").write_text(_expected(trusted_model, rows), encoding="utf-8")
    (folder / "README.md").write_text(_readme(model, version, description), encoding="utf-8")
    _try_out(folder)
    return folder


def _sample(model: Model, sample: object, names: list[str]) -> pl.DataFrame:
    from headrace.steps.tables import need_columns

    frame = scan(sample, in_order=True)
    need_columns(names, frame.collect_schema(), what="The model takes")
    rows = collect(frame.select(*names).head(N_SAMPLE_ROWS))
    if not len(rows):
        raise DataError("The sample has no row", hint="give the test table, say")
    return rows


def _expected(model: Model, rows: pl.DataFrame) -> str:
    """Write what ``predict.py`` must say: label and score, or the number."""
    answers = model.predict(rows)
    if model.card.task == "regression":
        return _csv(["prediction"], ([answer] for answer in answers))
    scores: Any = model.scores(rows)
    scores = scores.max(axis=1) if model.card.task == "multiclass" else scores
    return _csv(["label", "score"], zip(answers, scores.tolist(), strict=True))


def _csv(header: Sequence[str], rows: Any) -> str:
    """Write rows as CSV; a missing value is empty, and what only looks so is quoted by the csv module."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return written.getvalue()


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, float) else str(value)


def _requirements(model: Model) -> dict[str, str]:
    """Give what predicting needs, with the versions at hand."""
    from importlib.metadata import version

    needed = [*NEEDED]
    last = model.estimator.steps[-1][1] if hasattr(model.estimator, "steps") else model.estimator
    library = type(last).__module__.partition(".")[0]
    if library in ("lightgbm", "xgboost", "catboost"):
        needed.append(library)
    return {name: version(name) for name in sorted(needed)}


def _card(model: Model, version: ModelVersion, requirements: dict[str, str], description: str) -> dict[str, Any]:
    """Say what the package holds, for programs."""
    import skops.io

    card = model.card
    archive = model.archive
    _ = model.estimator  # loading it is what checks its classes: only trusted ones get onto the list below
    return {
        "format": "headrace-package",
        "format_version": PACKAGE_VERSION,
        "name": version.name,
        "version": version.version,
        "digest": version.digest,
        "description": description,
        "task": card.task,
        "target": card.target,
        **_answers(card),
        "features": [
            {
                "name": feature.name,
                "kind": feature.kind,
                "n_missing": feature.n_missing,
                **({"categories": list(feature.categories)} if feature.categories else {}),
                **({"low": feature.low, "high": feature.high} if feature.low is not None else {}),
            }
            for feature in card.features
        ],
        "n_rows": card.n_rows,
        "validation": card.validation,
        "estimator": {
            "file": ARCHIVE,
            "sha256": sha256(archive).hexdigest(),
            "class": card.estimator,
            "trusted": sorted(skops.io.get_untrusted_types(data=archive)),
        },
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "requirements": requirements,
    }


def _answers(card: ModelCard) -> dict[str, Any]:
    """Say what the model says."""
    if card.task == "regression":
        return {}
    if card.task == "multiclass":
        return {"labels": list(card.labels)}
    return {
        "positive": card.positive,
        "negative": card.negative,
        "threshold": card.threshold,
        "n_positive": card.n_positive,
    }


def _readme(model: Model, version: ModelVersion, description: str) -> str:
    card = model.card
    rows = "\n".join(f"| `{feature.name}` | {feature.kind} | {_range_of(feature)} |" for feature in card.features)
    told = f"\n{description}\n" if description else ""
    return f"""# {version.name}, version {version.version}
{told}
{_task_told(card)}

```
python -m pip install -r requirements.txt
python predict.py sample_input.csv      # gives expected_output.csv
```

Rows come as CSV or JSON. An empty value is a missing one; values that the training rows didn't have are taken too.

| column | kind | in training |
|---|---|---|
{rows}

{_training_told(card)}
Estimator: `{card.estimator}`.

Model digest: `{version.digest}`.
"""


def _task_told(card: ModelCard) -> str:
    if card.task == "regression":
        return f"Predicts the number `{card.target}`."
    if card.task == "multiclass":
        labels = ", ".join(f"`{label}`" for label in card.labels[:20])
        more = f" and {len(card.labels) - 20} more" if len(card.labels) > 20 else ""
        return (
            f"Predicts which of its {len(card.labels)} labels `{card.target}` has: the likeliest, with its chance as\n"
            f"the score. They are {labels}{more}."
        )
    return (
        f"Predicts whether `{card.target}` is `{card.positive}` or `{card.negative}`. A row is said to be "
        f"`{card.positive}` where\nits score, the chance of that, is at least {card.threshold:.6g}."
    )


def _training_told(card: ModelCard) -> str:
    shown = {"binary": ("AUC", "auc"), "multiclass": ("Accuracy", "accuracy"), "regression": ("R²", "r2")}
    words, metric = shown[card.task]
    of_which = f", {card.n_positive} of them `{card.positive}`" if card.task == "binary" else ""
    return f"Trained on {card.n_rows} rows{of_which}. {words} on the validation rows:\n{card.validation[metric]:.4f}."


def _range_of(feature: Any) -> str:
    if feature.categories:
        shown = ", ".join(f"`{value}`" for value in feature.categories[:8])
        return shown + (f" and {len(feature.categories) - 8} more" if len(feature.categories) > 8 else "")
    return "many values" if feature.low is None else f"{feature.low:g} to {feature.high:g}"


def _try_out(folder: Path) -> None:
    """Predict the sample in a fresh process. Raises StepError unless the output is what is expected."""
    command = [sys.executable, "-I", str(folder / "predict.py"), str(folder / "sample_input.csv")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=CHECK_SECONDS, check=False)
    if done.returncode:
        raise StepError(f"The packaged model can't predict its sample: {done.stderr.strip()[-2000:]}")
    expected = (folder / "expected_output.csv").read_text(encoding="utf-8")
    if done.stdout != expected:
        pairs = zip(expected.splitlines(), done.stdout.splitlines(), strict=False)
        line = next((pair for pair in pairs if pair[0] != pair[1]), ("", ""))
        raise StepError(
            f"The packaged model predicts {line[1]!r} where the model predicts {line[0]!r}",
            hint="an estimator of your own must keep all that it learned in what skops stores",
        )
