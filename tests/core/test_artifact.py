from __future__ import annotations

import hashlib
import json

import pytest

from headrace.core.artifact import Artifact, StoredFile
from headrace.core.errors import StoreError

FILES = (StoredFile("b/part-1", "bb", 20), StoredFile("a", "aa", 10))
ARTIFACT = Artifact.of("parquet", 1, FILES, "polars.dataframe.frame.DataFrame")


def test_the_digest_is_the_sha256_over_format_and_files() -> None:
    text = '["parquet",1,[["a","aa"],["b/part-1","bb"]]]'
    assert ARTIFACT.digest == hashlib.sha256(text.encode()).hexdigest()


def test_files_are_sorted_and_counted() -> None:
    assert [file.path for file in ARTIFACT.files] == ["a", "b/part-1"]
    assert Artifact.of("parquet", 1, reversed(FILES), "x") == Artifact.of("parquet", 1, FILES, "x")
    assert ARTIFACT.n_bytes == 30


def test_the_type_is_no_part_of_the_identity_and_the_rest_is() -> None:
    assert Artifact.of("parquet", 1, FILES, "pandas.DataFrame").digest == ARTIFACT.digest
    others = [
        Artifact.of("parquet", 2, FILES, "x"),
        Artifact.of("json", 1, FILES, "x"),
        Artifact.of("parquet", 1, FILES[:1], "x"),
        Artifact.of("parquet", 1, (FILES[0], StoredFile("c", "aa", 10)), "x"),
        Artifact.of("parquet", 1, (FILES[0], StoredFile("a", "ab", 10)), "x"),
    ]
    assert len({ARTIFACT.digest, *(other.digest for other in others)}) == 6


def test_the_form_that_records_keep_gives_it_back() -> None:
    again = Artifact.from_json(json.loads(json.dumps(ARTIFACT.to_json())))
    assert again == ARTIFACT
    assert again.digest == ARTIFACT.to_json()["digest"]


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "a/.."])
def test_a_file_outside_its_artifact_is_refused(path: str) -> None:
    record = {**ARTIFACT.to_json(), "files": [[path, "aa", 1]]}
    with pytest.raises(StoreError) as caught:
        Artifact.from_json(record)
    assert str(caught.value) == (
        f"A record names a file outside its artifact: {path!r}.\n"
        "Hint: the record is damaged or forged: delete it, and the step is executed again"
    )


def test_dots_inside_a_name_pass() -> None:
    assert Artifact.from_json({**ARTIFACT.to_json(), "files": [["a..b/.c", "aa", 1]]}).files[0].path == "a..b/.c"
