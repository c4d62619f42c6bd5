"""Kafka, by librdkafka. The extra ``kafka`` installs it."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, ClassVar, Self

from headrace.core.errors import DataError, DefinitionError, HeadraceError, TransientError, near_miss
from headrace.core.secret import Secret
from headrace.steps.kinds import Kind
from headrace.steps.streams.protocol import (
    STARTS,
    Ends,
    Message,
    Position,
    Positions,
    Start,
    Stream,
    deleted,
    made_anew,
    missing_topic,
)

ANSWER_SECONDS = 30.0
"""How long the broker may take to answer."""
BATCH = 5_000
POLL_SECONDS = 0.5
SECRETS = (
    "sasl.password",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.password",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.config",
)
"""Settings of librdkafka that hold a secret."""
OURS: Mapping[str, object] = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",
    "enable.partition.eof": True,
    "isolation.level": "read_committed",
    "allow.auto.create.topics": False,
}
"""What exactly-once stands on, and nobody may set otherwise. Messages of aborted transactions are not read."""


@dataclass(frozen=True)
class Kafka(Stream):
    """A topic of Kafka, read as a consumer group of one.

    No partition is subscribed to: each run reads the range that it was given. Offsets are committed for the group, so
    that Kafka's own tools show how far it is. A live consumer of the same group must not be there.

    Attributes
    ----------
    topic, servers
        The topic, and where the cluster is found: ``"broker-1:9092,broker-2:9092"``.
    group
        As whom it is read.
    start
        Where the first snapshot begins: ``"earliest"``, ``"latest"``, or ``"committed"`` to go on where a consumer of
        that group stood (else at the earliest).
    skip_deleted
        Whether to go on behind messages that the broker deleted before they were read. The gap is written down.
    settings
        Settings of librdkafka, for SASL, TLS and time limits; secrets as `Secret`:
        ``{"security.protocol": "SASL_SSL", "sasl.mechanism": "PLAIN", "sasl.username": "churn",
        "sasl.password": Secret("KAFKA_PASSWORD")}``.

    Raises DefinitionError for a setting that isn't to be set, and a secret that isn't a `Secret`.

    >>> Kafka("orders", "broker:9092", group="churn").chain_name
    'kafka-orders-churn-1f309ff8'
    """

    kind: ClassVar[str] = "kafka"
    partition_kind: ClassVar[Kind] = "integer"
    offset_kind: ClassVar[Kind] = "integer"

    topic: str
    servers: str
    group: str
    start: Start = "earliest"
    skip_deleted: bool = False
    settings: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_start(self.start)
        for name, value in self.settings.items():
            if name in OURS or name in ("bootstrap.servers", "group.id", "metadata.broker.list"):
                raise DefinitionError(
                    f"The setting {name!r} of Kafka is not to be set", hint="what reads each message once rests on it"
                )
            if name in SECRETS and not isinstance(value, Secret):
                raise DefinitionError(
                    f"The setting {name!r} of Kafka is a secret, and was not given as one",
                    hint="pass Secret('NAME') with the name of the environment variable that holds it",
                )

    @property
    def topic_name(self) -> str:
        """The topic."""
        return self.topic

    @property
    def reader_group(self) -> str:
        """The consumer group."""
        return self.group

    @property
    def begins_at(self) -> Start:
        """Where the first snapshot begins."""
        return self.start

    @property
    def skips_deleted(self) -> bool:
        """Whether to go on behind deleted messages."""
        return self.skip_deleted

    def open(self) -> KafkaConnection:
        """Connect. Raises `DataError` where the topic isn't there, `TransientError` where nobody answers."""
        return KafkaConnection(self)

    def configuration(self) -> dict[str, Any]:
        """What librdkafka is given, secrets revealed."""
        given = {name: value.reveal() if isinstance(value, Secret) else value for name, value in self.settings.items()}
        return {**given, **OURS, "bootstrap.servers": self.servers, "group.id": self.group}


class KafkaConnection:
    """A consumer that reads one partition after the other."""

    def __init__(self, stream: Kafka) -> None:
        confluent_kafka = _library()
        self._stream = stream
        self._library = confluent_kafka
        self._problem = ""
        configuration = stream.configuration()
        try:
            self._consumer = confluent_kafka.Consumer({**configuration, "error_cb": self._note}, logger=_quiet_logger())
        except (confluent_kafka.KafkaException, TypeError, ValueError) as error:
            raise DefinitionError(
                f"Kafka's settings can't be used: {_said(error)}", hint="see librdkafka's CONFIGURATION.md"
            ) from None
        try:
            self._names, self.incarnation = self._look_up()
        except BaseException:
            self._consumer.close()
            raise

    def _note(self, error: Any) -> None:
        self._problem = str(error.str())

    def _look_up(self) -> tuple[list[str], str]:
        """The partitions' names, and what tells this topic from another of its name."""
        with self._answering("say what partitions there are"):
            cluster = self._consumer.list_topics(self._stream.topic, timeout=ANSWER_SECONDS)
        topic = cluster.topics[self._stream.topic]
        if topic.error is not None:
            if not topic.error.retriable() or topic.error.code() == self._library.KafkaError.UNKNOWN_TOPIC_OR_PART:
                with self._answering("list its topics"):
                    known = self._consumer.list_topics(timeout=ANSWER_SECONDS).topics
                raise missing_topic(self._stream, near_miss(self._stream.topic, known) or topic.error.str())
            raise TransientError(f"Kafka can't say what {self._stream} is now: {topic.error.str()}")
        return [str(number) for number in sorted(topic.partitions)], str(cluster.cluster_id or "")

    def partitions(self) -> dict[str, Ends]:
        """The offsets that each partition begins and ends with now."""
        found = {}
        for name in self._names:
            with self._answering("say which offsets there are"):
                low, high = self._consumer.get_watermark_offsets(self._at(name), timeout=ANSWER_SECONDS, cached=False)
            found[name] = Ends(low, high)
        return found

    def origin(self) -> int:
        """Offsets count from 0."""
        return 0

    def committed(self) -> dict[str, Position]:
        """Where the group stands, of the partitions for which Kafka knows."""
        with self._answering("say where the group stands"):
            known = self._consumer.committed([self._at(name) for name in self._names], timeout=ANSWER_SECONDS)
        return {str(item.partition): item.offset for item in known if item.error is None and item.offset >= 0}

    def gap(self, partition: str, position: Any, ends: Ends) -> str | None:
        """The offsets that are gone."""
        low: Any = ends.first
        high: Any = ends.end
        if position > high:
            raise made_anew(
                self._stream, f"offset {position} of partition {partition!r} was read, and it ends at {high} now"
            )
        return f"offsets {position} to {low - 1}" if position < low else None

    def read(self, partition: str, start: Any, until: Any, *, at_most: int | None = None) -> Iterator[list[Message]]:
        """Read a partition from an offset up to another."""
        self._consumer.assign([self._at(partition, start)])
        try:
            yield from self._batches(partition, start, until, min(BATCH, at_most or BATCH))
        finally:
            self._consumer.unassign()

    def _batches(self, partition: str, start: int, until: int, size: int) -> Iterator[list[Message]]:
        position, answered = start, time.monotonic()
        while position < until:
            with self._answering("give messages"):
                came = self._consumer.consume(size, POLL_SECONDS)
            batch = []
            for message in came:
                if (error := message.error()) is not None:
                    position = self._after_error(error, message, partition, start, position, until)
                    continue
                position = message.offset() + 1
                if message.offset() < until:
                    batch.append(_message(partition, message))
            if came:
                answered = time.monotonic()
            elif time.monotonic() - answered > ANSWER_SECONDS:
                raise self._unanswered("give messages", "")
            if batch:
                yield batch

    def _after_error(self, error: Any, message: Any, partition: str, start: int, position: int, until: int) -> int:
        """Where reading stands after what came instead of a message."""
        codes = self._library.KafkaError
        if error.code() == codes._PARTITION_EOF:
            # Behind the last message there may be marks of transactions, and holes of compaction.
            if message.offset() < until:
                raise made_anew(self._stream, f"partition {partition!r} ends at {message.offset()} now, before {until}")
            return until
        if error.code() in (codes._AUTO_OFFSET_RESET, codes.OFFSET_OUT_OF_RANGE):
            low, high = self._consumer.get_watermark_offsets(self._at(partition), timeout=ANSWER_SECONDS, cached=False)
            gap = self.gap(partition, position, Ends(low, high))
            raise deleted(self._stream, partition, gap or f"offset {position}")
        if error.retriable() or error.code() in (codes._ALL_BROKERS_DOWN, codes._TRANSPORT, codes._TIMED_OUT):
            raise self._unanswered("give messages", error.str())
        raise DataError(f"Kafka refuses to give messages of {self._stream}: {error.str()}")

    def commit(self, positions: Positions) -> None:
        """Commit for the group."""
        offsets = [self._at(name, position) for name, position in positions.items()]
        with self._answering("commit offsets"):
            for item in self._consumer.commit(offsets=offsets, asynchronous=False) or ():
                if item.error is not None:
                    raise DataError(
                        f"Kafka didn't take offset {item.offset} of partition {item.partition}: {item.error.str()}"
                    )

    def close(self) -> None:
        """Leave the cluster."""
        self._consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _at(self, partition: str, offset: Any = None) -> Any:
        found = self._library.TopicPartition(self._stream.topic, int(partition))
        if offset is not None:
            found.offset = offset
        return found

    @contextmanager
    def _answering(self, what: str) -> Iterator[None]:
        """Raise what the library raises as what it means."""
        try:
            yield
        except HeadraceError:
            raise
        except self._library.KafkaException as error:
            problem = error.args[0]
            code = problem.code() if hasattr(problem, "code") else None
            codes = self._library.KafkaError
            refused = (
                codes.TOPIC_AUTHORIZATION_FAILED,
                codes.GROUP_AUTHORIZATION_FAILED,
                codes.CLUSTER_AUTHORIZATION_FAILED,
                codes.SASL_AUTHENTICATION_FAILED,
                codes._AUTHENTICATION,
            )
            if code in refused:
                raise DataError(
                    f"Kafka refuses {self._stream}: {_said(error)}", hint="look at settings= and at the broker's rights"
                ) from None
            raise self._unanswered(what, _said(error)) from None

    def _unanswered(self, what: str, said: str) -> TransientError:
        told = "; ".join(dict.fromkeys(text for text in (said, self._problem) if text))
        return TransientError(
            f"Kafka at {self._stream.servers!r} doesn't {what} for {self._stream}" + (f": {told}" if told else ""),
            hint="is it up, and do servers= and settings= lead there?",
        )


def _library() -> Any:
    try:
        import confluent_kafka
    except ImportError as error:
        raise DefinitionError(
            "Reading Kafka needs the library confluent-kafka", hint='pip install "headrace[kafka]"'
        ) from error
    return confluent_kafka


def _quiet_logger() -> logging.Logger:
    """What librdkafka has to say goes into errors; by itself it would write into the terminal."""
    logger = logging.Logger("headrace.kafka")
    logger.addHandler(logging.NullHandler())
    return logger


def _said(error: BaseException) -> str:
    problem = error.args[0] if error.args else error
    return str(problem.str() if hasattr(problem, "str") else problem)


def _message(partition: str, message: Any) -> Message:
    kind, milliseconds = message.timestamp()
    offset = message.offset()
    return Message(partition, offset, offset + 1, message.value(), message.key(), milliseconds if kind else None)


def check_start(start: object) -> None:
    """Raise DefinitionError for what is no place to start."""
    if start not in STARTS:
        raise DefinitionError(f"A stream can't be started at {start!r}", hint=near_miss(str(start), STARTS))
