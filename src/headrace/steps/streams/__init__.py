"""Streams: messages of Kafka and Redis land in snapshots, each once.

`ingest_stream` is the step; `Kafka` and `RedisStream` say what it reads. Another broker is a `Stream` of its own, which
``headrace.testing.streams`` holds to the protocol.
"""

from __future__ import annotations

from headrace.steps.streams.ingestion import Streamed, ingest_stream
from headrace.steps.streams.kafka import Kafka
from headrace.steps.streams.redis_stream import RedisStream

__all__ = ["Kafka", "RedisStream", "Streamed", "ingest_stream"]
