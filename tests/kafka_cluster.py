"""Three real Apache Kafka brokers on loopback, each behind a proxy that can spoil its network.

KRaft, every node broker and controller; topics have three replicas of which two must take a record.
Clients that are given ``servers`` pass the proxies, since that is what the brokers advertise there;
``direct`` and the brokers among themselves do not. A broker keeps its data and its ports when it is
killed and started again.

    with running() as cluster:
        cluster.kill(cluster.leader("topic", 0))
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from tests import kafka_broker
from tests.fault_proxy import NONE, Fault, FaultProxy, reserved

BROKERS = (1, 2, 3)
READY_TIMEOUT_S = 90
STOP_TIMEOUT_S = 30
TRANSACTION_PARTITIONS = 4
SETTINGS = {
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "DIRECT",
    "listener.security.protocol.map": "CLIENT:PLAINTEXT,DIRECT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "auto.create.topics.enable": "false",
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.num.partitions": "1",
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.num.partitions": str(TRANSACTION_PARTITIONS),
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    # Within a test's patience: a dead broker is noticed, a dead writer's transaction rolled back.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    "replica.lag.time.max.ms": "3000",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
    "group.initial.rebalance.delay.ms": "0",
    "num.network.threads": "2",
    "num.io.threads": "2",
    "log.cleaner.enable": "false",
}


@dataclass
class Cluster:
    """The running brokers by number, and the proxy before each."""

    home: Path
    classpath: Path
    proxies: dict[int, FaultProxy]
    ports: dict[int, int]
    """Of the listener that no proxy is before."""
    processes: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def servers(self) -> str:
        """Where clients reach the brokers through the proxies."""
        return ",".join(f"127.0.0.1:{proxy.port}" for proxy in self.proxies.values())

    @property
    def direct(self) -> str:
        """Where the brokers are reached whatever the proxies do."""
        return ",".join(f"127.0.0.1:{port}" for port in self.ports.values())

    def start(self, number: int) -> None:
        """Start a broker with the data it has; ``ready`` waits for it."""
        assert number not in self.processes, f"broker {number} runs"
        with (self.home / f"broker-{number}.log").open("ab") as out:
            java = kafka_broker.java(self.classpath, "-Xmx256m", kafka_broker.QUICK_START)
            self.processes[number] = subprocess.Popen(
                [*kafka_broker.die_with_parent(), *java, "kafka.Kafka", str(self.home / f"{number}.properties")],
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )

    def kill(self, *numbers: int) -> None:
        """End brokers with SIGKILL, all in the same moment."""
        for number in numbers:
            self.processes[number].kill()
        for number in numbers:
            self.processes.pop(number).wait()

    def stop(self, number: int) -> None:
        """End a broker as its operator would: it hands its partitions over first."""
        process = self.processes.pop(number)
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def signal(self, number: int, what: signal.Signals) -> None:
        """Send a broker a signal, such as SIGSTOP."""
        self.processes[number].send_signal(what)

    def ready(self) -> None:
        """Wait until all brokers that run are there, and every partition has all of these as replicas in sync."""
        admin = AdminClient({"bootstrap.servers": self.direct, "log_level": "0"})
        deadline = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < deadline:
            for number, process in self.processes.items():
                if process.poll() is not None:
                    said = (self.home / f"broker-{number}.log").read_text(errors="replace")[-2000:]
                    raise kafka_broker.BrokerUnavailable(f"broker {number} ended; it said: {said}")
            with contextlib.suppress(KafkaException):
                found = admin.list_topics(timeout=1)
                parts = [part for topic in found.topics.values() for part in topic.partitions.values()]
                there = self.processes.keys()
                if found.brokers.keys() == there and all(set(p.isrs) >= there & set(p.replicas) for p in parts):
                    return
            time.sleep(0.1)
        raise kafka_broker.BrokerUnavailable(f"the brokers were not in sync within {READY_TIMEOUT_S} s")

    def create(self, topic: str, partitions: int) -> None:
        """Create a topic and wait until all its replicas are in sync."""
        admin = AdminClient({"bootstrap.servers": self.direct})
        admin.create_topics([NewTopic(topic, partitions, len(BROKERS))])[topic].result(30)
        self.ready()

    def leader(self, topic: str, partition: int) -> int:
        """Number of the broker that leads a partition; -1 while there is none."""
        admin = AdminClient({"bootstrap.servers": self.direct, "log_level": "0"})
        return admin.list_topics(topic, timeout=10).topics[topic].partitions[partition].leader

    def coordinator(self, transactional_id: str) -> int:
        """Number of the broker that coordinates the transactions of an id."""
        code = 0
        for character in transactional_id:  # As java.lang.String.hashCode.
            code = (31 * code + ord(character)) & 0xFFFFFFFF
        # As org.apache.kafka.common.utils.Utils.abs: of the signed value, but 0 for the smallest.
        code = 0 if code == 1 << 31 else min(code, (1 << 32) - code)
        return self.leader("__transaction_state", code % TRANSACTION_PARTITIONS)

    def spoil(self, fault: Fault, *numbers: int) -> None:
        """Set the fault of the network before these brokers, or before all."""
        for number in numbers or BROKERS:
            self.proxies[number].fault = fault

    @contextlib.contextmanager
    def spoilt(self, fault: Fault, *numbers: int) -> Iterator[None]:
        """Let the fault last as long as the block."""
        self.spoil(fault, *numbers)
        try:
            yield
        finally:
            self.spoil(NONE, *numbers)

    def mend(self) -> None:
        """Undo every fault: all brokers run, are in sync, and their network carries."""
        self.spoil(NONE)
        for number in BROKERS:
            if number not in self.processes:
                self.start(number)
            self.signal(number, signal.SIGCONT)
        self.ready()


@contextlib.contextmanager
def running() -> Iterator[Cluster]:
    """Run three brokers while the block runs. Raises: BrokerUnavailable."""
    classpath = kafka_broker.jars()
    with tempfile.TemporaryDirectory(prefix="plantsync-cluster-") as scratch, contextlib.ExitStack() as stack:
        # The ports stay ours while a broker is down.
        held = {
            (number, listener): stack.enter_context(reserved())
            for number in BROKERS
            for listener in ("CLIENT", "DIRECT", "CONTROLLER")
        }
        ports = {key: bound.getsockname()[1] for key, bound in held.items()}
        proxies = {number: stack.enter_context(FaultProxy(ports[number, "CLIENT"])) for number in BROKERS}
        direct = {number: ports[number, "DIRECT"] for number in BROKERS}
        cluster = Cluster(Path(scratch), classpath, proxies, direct)
        voters = ",".join(f"{number}@127.0.0.1:{ports[number, 'CONTROLLER']}" for number in BROKERS)
        for number in BROKERS:
            own = {listener: f"{listener}://127.0.0.1:{ports[number, listener]}" for _, listener in ports}
            lines = SETTINGS | {
                "node.id": str(number),
                "controller.quorum.voters": voters,
                "listeners": ",".join(own.values()),
                "advertised.listeners": f"CLIENT://127.0.0.1:{proxies[number].port},{own['DIRECT']}",
                "log.dirs": str(cluster.home / f"data-{number}"),
            }
            config = cluster.home / f"{number}.properties"
            config.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
        kafka_broker.format_storage(classpath, [cluster.home / f"{number}.properties" for number in BROKERS])
        try:
            for number in BROKERS:
                cluster.start(number)
            cluster.ready()
            yield cluster
        finally:
            cluster.kill(*cluster.processes)
