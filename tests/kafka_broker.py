"""A real Apache Kafka broker on loopback, started with Java and stopped again.

One KRaft node (broker and controller in one process) on free ports, with its data in a temporary
folder and its jars resolved once by Maven from ``tests/kafka/pom.xml``. Plain module, no pytest:
benchmarks use it too, and ``python tests/kafka_broker.py`` runs one until Ctrl-C.

    with running() as broker:
        Producer({"bootstrap.servers": broker.servers})
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

POM = Path(__file__).parent / "kafka" / "pom.xml"
READY_TIMEOUT_S = 90
STOP_TIMEOUT_S = 20
MAVEN_TIMEOUT_S = 600
STARTS_MAX = 3
QUICK_START = "-XX:TieredStopAtLevel=1"
"""For a process that does not live long: a third less of the processor's time than compiling it better."""
USER = "plantsync"


class BrokerUnavailable(Exception):
    """No broker can be started here; the message says what is missing."""


@dataclass(frozen=True)
class Broker:
    """A running broker; one that was not started here has no process or log of ours.

    ``secure`` holds the client properties of its SASL_SSL listener, if it has one.
    """

    servers: str
    pid: int | None = None
    log: Path | None = None
    secure: Mapping[str, str] = field(default_factory=dict, repr=False)


def kafka_version() -> str:
    """Version that the checked-in POM asks for."""
    version = ET.parse(POM).findtext(".//{*}properties/{*}kafka.version")
    assert version, f"{POM} names no kafka.version"
    return version


def jars() -> Path:
    """Folder with the broker's jars, resolved on first use and kept in the user's cache.

    The folder appears in one rename, so that parallel runs see all jars or none.

    Raises: BrokerUnavailable.
    """
    for tool in ("java", "mvn"):
        if shutil.which(tool) is None:
            raise BrokerUnavailable(f"{tool} is not installed; install it, or set PLANTSYNC_KAFKA=host:port")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "plantsync"
    folder = cache / f"kafka-{kafka_version()}"
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="kafka-", dir=cache) as scratch:
        fresh = Path(scratch) / "jars"
        maven = ["mvn", "-B", "-q", "-f", str(POM), "dependency:copy-dependencies"]
        options = ["-DincludeScope=runtime", f"-DoutputDirectory={fresh}"]
        done = subprocess.run(maven + options, capture_output=True, text=True, timeout=MAVEN_TIMEOUT_S, check=False)
        if done.returncode != 0 or not fresh.is_dir():
            said = (done.stdout + done.stderr).strip()[-500:]
            raise BrokerUnavailable(f"Maven could not fetch Apache Kafka {kafka_version()}: {said}")
        with contextlib.suppress(OSError):  # A parallel run was first: its folder is as good.
            fresh.rename(folder)
    return folder


@contextlib.contextmanager
def running(
    *, secure: bool = False, properties: Mapping[str, str] | None = None, brief: bool = False
) -> Iterator[Broker]:
    """Run a broker while the block runs.

    ``secure`` adds a SASL_SSL listener (SCRAM-SHA-512, certificate made now); ``properties`` are
    further broker properties; a ``brief`` one does not compile itself as well as it can, which pays after minutes.

    Raises: BrokerUnavailable.
    """
    classpath = jars()
    with tempfile.TemporaryDirectory(prefix="plantsync-kafka-") as scratch:
        process, broker = _started(classpath, Path(scratch), dict(properties or {}), secure=secure, brief=brief)
        try:
            yield broker
        finally:
            _stop(process)


def _started(
    classpath: Path, scratch: Path, properties: dict[str, str], *, secure: bool, brief: bool
) -> tuple[subprocess.Popen[bytes], Broker]:
    """Start until it is ready; a port that was taken in between is tried again with another."""
    quick = (QUICK_START,) if brief else ()
    for attempt in range(STARTS_MAX):
        home = scratch / str(attempt)
        home.mkdir()
        ports = _free_ports(3)
        client: dict[str, str] = {}
        lines = _server_properties(home, ports) | properties
        if secure:
            client = _secure_listener(home, ports[2], lines)
        config = home / "server.properties"
        config.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
        _format(classpath, config, client)
        log = home / "broker.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [*die_with_parent(), *java(classpath, "-Xmx512m", *quick), "kafka.Kafka", str(config)],
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )
        broker = Broker(f"127.0.0.1:{ports[0]}", process.pid, log, client)
        if _ready(process, broker):
            return process, broker
        _stop(process)
        said = log.read_text(errors="replace")[-2000:]
        if "Address already in use" not in said:
            break
    raise BrokerUnavailable(f"the broker did not start; it said: {said}")


def _server_properties(home: Path, ports: list[int]) -> dict[str, str]:
    plain, controller, _ = ports
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://127.0.0.1:{plain},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{plain}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL",
        "log.dirs": str(home / "data"),
        "auto.create.topics.enable": "false",
        "offsets.topic.num.partitions": "1",
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        # Within a test's patience: compaction, and the roll-back of a dead writer's transaction.
        "log.cleaner.backoff.ms": "500",
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
    }


def _secure_listener(home: Path, port: int, lines: dict[str, str]) -> dict[str, str]:
    """Add a SASL_SSL listener to the broker's properties and return the client's."""
    password, store_password = secrets.token_hex(12), secrets.token_hex(12)
    store, certificate = home / "broker.p12", home / "broker.pem"
    named = ["-alias", "broker", "-keystore", str(store), "-storetype", "PKCS12", "-storepass", store_password]
    who = ["-dname", "CN=localhost", "-ext", "SAN=ip:127.0.0.1,dns:localhost", "-validity", "2"]
    _run(["keytool", "-genkeypair", "-keyalg", "EC", "-groupname", "secp256r1", *named, *who])
    _run(["keytool", "-exportcert", "-rfc", "-file", str(certificate), *named])
    lines["listeners"] += f",SASL_SSL://127.0.0.1:{port}"
    lines["advertised.listeners"] += f",SASL_SSL://127.0.0.1:{port}"
    lines |= {
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        ),
        "ssl.keystore.type": "PKCS12",
        "ssl.keystore.location": str(store),
        "ssl.keystore.password": store_password,
    }
    return {
        "bootstrap.servers": f"127.0.0.1:{port}",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": USER,
        "sasl.password": password,
        "ssl.ca.location": str(certificate),
    }


def _format(classpath: Path, config: Path, client: Mapping[str, str]) -> None:
    scram = ["--add-scram", f"SCRAM-SHA-512=[name={USER},password={client['sasl.password']}]"] if client else []
    format_storage(classpath, [config], *scram)


def format_storage(classpath: Path, configs: list[Path], *more: str) -> None:
    """Prepare the data folders of nodes of one cluster, all at the same time. Raises: BrokerUnavailable."""
    tool = ["kafka.tools.StorageTool", "format", "--cluster-id", "plantsyncTestClusterAA", *more, "--config"]
    commands = [[*java(classpath, "-Xmx128m", QUICK_START), *tool, str(config)] for config in configs]
    with ThreadPoolExecutor(len(commands)) as pool:
        list(pool.map(_run, commands))


def java(classpath: Path, *options: str) -> list[str]:
    """Begin a command that runs one of the broker's classes."""
    quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
    return ["java", *options, "-XX:+UseSerialGC", "-Xshare:auto", quiet, "-cp", f"{classpath}/*"]


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise BrokerUnavailable(f"{command[0]} failed: {(done.stdout + done.stderr).strip()[-1000:]}")


def die_with_parent() -> list[str]:
    """Prefix that ends the broker when the thread that started it ends, where the system has it."""
    return ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        listeners = [stack.enter_context(socket.socket()) for _ in range(count)]
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in listeners]


def _ready(process: subprocess.Popen[bytes], broker: Broker) -> bool:
    admin = AdminClient({"bootstrap.servers": broker.servers, "log_level": "0"})
    deadline = time.monotonic() + READY_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(KafkaException):
            if admin.list_topics(timeout=1).brokers:
                return True
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask it to stop, and insist when it lingers: its data is thrown away."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


if __name__ == "__main__":
    with running() as started, contextlib.suppress(KeyboardInterrupt):
        print(f"Apache Kafka {kafka_version()} listens on {started.servers}; Ctrl-C stops it")
        signal.pause()
