"""Versions and champions, as records in a store."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import polars as pl
import pytest

from headrace.core.errors import DataError, StoreError
from headrace.steps import Model, Registry, train
from headrace.steps.registry import model_digest
from headrace.stores.open import open_store


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(open_store(tmp_path / "store"))


@pytest.fixture(scope="module")
def models(people: pl.DataFrame, others: pl.DataFrame) -> list[Model]:
    return [
        train(people[i:], others, target="left", positive="yes", estimator="linear", exclude=["city"]) for i in range(3)
    ]


def test_a_model_is_registered_once(registry: Registry, models: list[Model], others: pl.DataFrame) -> None:
    first = registry.add("churn", models[0], metrics={"auc": 0.8}, verdict=("auc >= 0.5: 0.8",))
    assert registry.add("churn", models[0]) == first
    second = registry.add("churn", models[1], compared_with=first.digest)
    assert [v.version for v in registry.versions("churn")] == [1, 2]
    assert (first.version, second.version, second.compared_with) == (1, 2, first.digest)
    assert first.digest == model_digest(models[0])
    assert registry.names() == ["churn"]
    assert registry.champion("churn") == second
    assert registry.get("churn", 1).metrics == {"auc": 0.8}
    loaded = registry.load(registry.get("churn", 1))
    assert loaded == models[0] and loaded.scores(others).tolist() == models[0].scores(others).tolist()


def test_numbers_above_nine_are_in_order(registry: Registry, models: list[Model]) -> None:
    record = registry.add("churn", models[0])
    for number in range(2, 13):
        data = json.loads(record.to_json()) | {"version": number}
        registry.store.create_record(f"registry/churn/versions/{number}.json", json.dumps(data).encode())
    assert [v.version for v in registry.versions("churn")] == list(range(1, 13))
    assert registry.add("churn", models[1]).version == 13


def test_rolling_back_goes_to_the_champion_before(registry: Registry, models: list[Model]) -> None:
    for model in models:
        registry.add("churn", model)
    assert registry.rollback("churn").version == 2
    assert registry.rollback("churn").version == 1
    with pytest.raises(DataError, match=r"Model 'churn' has had no champion before"):
        registry.rollback("churn")
    assert registry.promote("churn", 3).version == 3
    assert registry.rollback("churn").version == 1


def test_the_champion_before_may_be_a_later_version(registry: Registry, models: list[Model]) -> None:
    for model in (models[0], models[1], models[0]):
        registry.add("churn", model)
    assert registry.get("churn").version == 1
    assert registry.rollback("churn").version == 2
    assert registry.is_settled(registry.get("churn", 1)), "it was rolled back"


def test_what_was_rolled_back_stays_so_until_it_is_promoted(registry: Registry, models: list[Model]) -> None:
    for model in models[:2]:
        registry.add("churn", model)
    registry.rollback("churn")
    registry.add("churn", models[1])
    assert registry.get("churn").version == 1
    registry.promote("churn", 2)
    assert registry.get("churn").version == 2
    registry.add("churn", models[0])
    assert registry.get("churn").version == 1, "version 1 was replaced, not rolled back: it may come again"


def test_registering_without_promoting(registry: Registry, models: list[Model]) -> None:
    registry.add("churn", models[0], promote=False)
    assert registry.champion("churn") is None
    with pytest.raises(DataError, match=r"Model 'churn' has no champion.\nHint: promote one of its versions"):
        registry.get("churn")


def test_unknown_models_and_versions(registry: Registry, models: list[Model]) -> None:
    registry.add("churn", models[0])
    for call in (
        lambda: registry.get("chrun"),
        lambda: registry.rollback("chrun"),
        lambda: registry.promote("chrun", 1),
    ):
        with pytest.raises(DataError, match=r"No model is registered as 'chrun'.\nHint: did you mean 'churn'\?"):
            call()
    with pytest.raises(DataError, match=r"Model 'churn' has no version 7.\nHint: it has 1"):
        registry.get("churn", 7)
    with pytest.raises(DataError, match=r"A model's name must be letters, .* but got '../x'"):
        registry.versions("../x")
    assert registry.versions("other") == []


def test_a_version_whose_files_are_gone_is_not_promoted(registry: Registry, models: list[Model]) -> None:
    first = registry.add("churn", models[0])
    registry.add("churn", models[1])
    registry.store.drop_object(first.artifact.files[-1].digest)
    with pytest.raises(DataError, match=r"'churn' version 1 can't be promoted: its files are gone from the store"):
        registry.promote("churn", 1)
    assert registry.get("churn").version == 2
    registry.add("churn", models[0], promote=False)
    assert registry.is_whole(first), "registering it again puts its files back"


def test_a_damaged_record_is_named(registry: Registry, models: list[Model]) -> None:
    registry.add("churn", models[0])
    registry.store.write_record("registry/churn/versions/1.json", b"{")
    with pytest.raises(StoreError, match=r"The registry's record 'registry/churn/versions/1.json' can't be read"):
        registry.versions("churn")
    registry.store.write_record("registry/churn/champion.json", b'{"version": 1}')
    with pytest.raises(
        StoreError, match=r"record 'registry/churn/champion.json' can't be read: 'history'.\nHint: promote"
    ):
        registry.champion("churn")


def test_many_at_once_get_one_version_each(registry: Registry, models: list[Model]) -> None:
    barrier = threading.Barrier(6)
    found: list[tuple[int, int]] = []

    def work(index: int) -> None:
        barrier.wait()
        found.append((index, registry.add("churn", models[index % 3]).version))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    digests = [v.digest for v in registry.versions("churn")]
    assert len(found) == 6 and set(digests) == {model_digest(model) for model in models}
    assert [v.version for v in registry.versions("churn")] == list(range(1, len(digests) + 1))
    assert registry.champion("churn") is not None


def test_the_registry_of_a_plain_call_is_in_this_folder(in_folder: Path, models: list[Model]) -> None:
    Registry.here().add("churn", models[0])
    assert (in_folder / ".headrace" / "registry" / "churn" / "versions" / "1.json").is_file()
