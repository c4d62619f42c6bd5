"""The feature store: point-in-time joins for training, the last values of each entity for serving.

``FeatureView`` says what is known of an entity and since when; ``point_in_time`` joins it to labels without looking
ahead; ``materialize`` puts the last values into an online store, SQLite or Redis; ``FeatureLookup`` gets them out.
"""

from __future__ import annotations

from headrace.steps.feature_store.joining import point_in_time
from headrace.steps.feature_store.lookup import FeatureLookup, Found
from headrace.steps.feature_store.materializing import Materialized, materialize
from headrace.steps.feature_store.online import OnlineStore, ViewState, open_online
from headrace.steps.feature_store.rows import Row
from headrace.steps.feature_store.view import FeatureView

__all__ = [
    "FeatureLookup",
    "FeatureView",
    "Found",
    "Materialized",
    "OnlineStore",
    "Row",
    "ViewState",
    "materialize",
    "open_online",
    "point_in_time",
]
