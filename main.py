"""The command line: parses, then hands over to commands/."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when torch loads; busy waiting starves the peer
# Products compiled for a shape, 0.4 MB each; every pruning has shapes of its own, and 1024 would stay.
os.environ.setdefault("LRU_CACHE_CAPACITY", "256")
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "256")

import typer

from commands.devit.verbs import app as devit
from commands.options import (
    Cloud,
    Codec,
    Codecs,
    Config,
    DeviceOnly,
    DeviceOption,
    Dtype,
    DtypeOption,
    FusionFile,
    Grace,
    Hop,
    Host,
    LetIn,
    Levels,
    Log,
    LogStyle,
    MaxBatch,
    MaxInFlight,
    MaxLoss,
    MaxMessageMb,
    MetricsHost,
    MetricsPort,
    Model,
    OwnPart,
    Patience,
    Peers,
    PixelsStay,
    Policy,
    PriorMbps,
    ProfileOption,
    PruningOption,
    Rate,
    SendInsecure,
    SlaMs,
    Slowdown,
    Split,
    Strict,
    Stride,
    Threads,
    TlsCa,
    TlsCert,
    TlsClientCa,
    TlsKey,
    TokenFile,
    TokensFile,
    Tolerance,
    TopK,
    Verb,
    Verbose,
    Weights,
)
from commands.runtime import guarded, set_up_logging

if TYPE_CHECKING:
    from configs.settings import DeviceSettings

app = typer.Typer(
    help="Run one Vision Transformer on two machines: a camera box and a server.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(devit, name="devit")


PAPER_SETUP = Path(__file__).parent / "configs" / "paper.yaml"
SEVERAL = frozenset({"--traces", "--policies", "--source", "--sink"})


@app.command()
def cloud(
    context: typer.Context,
    config: Config = None,
    model: Model = "motions",
    weights: Weights = None,
    dtype: DtypeOption = Dtype.FLOAT32,
    device: DeviceOption = "cpu",
    threads: Threads = 1,
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = 8765,
    max_message_mb: MaxMessageMb = 16.0,
    max_in_flight: MaxInFlight = 8,
    max_batch: MaxBatch = 8,
    profile: ProfileOption = None,
    top_k: TopK = 5,
    grace: Grace = 10.0,
    metrics_port: MetricsPort = None,
    metrics_host: MetricsHost = "127.0.0.1",
    token_file: TokensFile = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    tls_client_ca: TlsClientCa = None,
    insecure: LetIn = False,
    log: Log = LogStyle.TEXT,
    verbose: Verbose = 0,
) -> None:
    """Serve the layers behind the cut until interrupted."""
    set_up_logging(verbose, log.value)

    def work() -> int:
        from commands.configuration import configured
        from configs.files import CloudFile

        settings = configured(
            *(CloudFile, context, config),
            model={"name": model, "weights": weights, "dtype": dtype, "device": device, "threads": threads},
            host=host,
            port=port,
            token_file=token_file,
            tls_cert=tls_cert,
            tls_key=tls_key,
            tls_client_ca=tls_client_ca,
            insecure=insecure,
            max_message_bytes=round(max_message_mb * 1e6),
            max_in_flight=max_in_flight,
            max_batch=max_batch,
            profile=profile,
            top_k=top_k,
            grace_s=grace,
            metrics={"host": metrics_host, "port": metrics_port},
            log=log.value,
        )
        set_up_logging(verbose, settings.log)

        from commands.cloud import run

        return run(settings)

    sys.exit(guarded(work))


@app.command()
def peer(
    context: typer.Context,
    config: Config = None,
    part: Annotated[
        Path | None, typer.Option("--part", help="The part to serve, a file of main.py devit fit.")
    ] = None,
    device: DeviceOption = "cpu",
    threads: Threads = 1,
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = 8766,
    max_message_mb: MaxMessageMb = 16.0,
    max_in_flight: MaxInFlight = 8,
    max_batch: MaxBatch = 8,
    grace: Grace = 10.0,
    metrics_port: MetricsPort = None,
    metrics_host: MetricsHost = "127.0.0.1",
    token_file: TokensFile = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    tls_client_ca: TlsClientCa = None,
    insecure: LetIn = False,
    log: Log = LogStyle.TEXT,
    verbose: Verbose = 0,
) -> None:
    """Serve one part of a DeViT to devices with --peers, until interrupted."""
    set_up_logging(verbose, log.value)

    def work() -> int:
        from commands.configuration import configured
        from configs.files import PeerFile

        settings = configured(
            *(PeerFile, context, config),
            part=part,
            device=device,
            threads=threads,
            host=host,
            port=port,
            token_file=token_file,
            tls_cert=tls_cert,
            tls_key=tls_key,
            tls_client_ca=tls_client_ca,
            insecure=insecure,
            max_message_bytes=round(max_message_mb * 1e6),
            max_in_flight=max_in_flight,
            max_batch=max_batch,
            grace_s=grace,
            metrics={"host": metrics_host, "port": metrics_port},
            log=log.value,
        )
        set_up_logging(verbose, settings.log)

        from commands.peer import run

        return run(settings)

    sys.exit(guarded(work))


@app.command()
def replay(
    context: typer.Context,
    videos: Annotated[
        list[Path] | None, typer.Argument(help="Video files and folders of them.", show_default=False)
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Result file, one JSON line a clip; - is stdout.")
    ] = None,
    config: Config = None,
    cloud: Cloud = None,
    peers: Peers = None,
    fusion: FusionFile = None,
    part: OwnPart = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where an earlier run of this output ended.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an output that exists.")] = False,
    pattern: Annotated[
        str | None, typer.Option("--pattern", help="Names to take from folders: '*.mp4'.")
    ] = None,
    in_flight: Annotated[
        int | None,
        typer.Option(
            "--in-flight",
            min=1,
            help="Clips between plan and record at once. (2 with --sla-ms, else no bound)",
        ),
    ] = None,
    policy: Policy = None,
    levels: Levels = None,
    accuracy_tolerance: Tolerance = 0.01,
    max_accuracy_loss: MaxLoss = None,
    pixels_stay: PixelsStay = False,
    codecs: Codecs = None,
    profile: ProfileOption = None,
    prior_mbps: PriorMbps = 10.0,
    pruning: PruningOption = None,
    split: Split = None,
    codec: Codec = None,
    device_only: DeviceOnly = False,
    emulate_slowdown: Slowdown = 1.0,
    stride: Stride = 1,
    hop: Hop = None,
    rate: Rate = None,
    model: Model = "motions",
    weights: Weights = None,
    dtype: DtypeOption = Dtype.FLOAT32,
    device: DeviceOption = "cpu",
    threads: Threads = 1,
    top_k: TopK = 5,
    sla_ms: SlaMs = None,
    patience: Patience = 30.0,
    strict: Strict = False,
    token_file: TokenFile = None,
    tls_ca: TlsCa = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    insecure: SendInsecure = False,
    verbose: Verbose = 0,
) -> None:
    """Classify video files, clip by clip; drops nothing and can be resumed after any end."""
    set_up_logging(verbose)

    def work() -> int:
        from commands.configuration import configured
        from configs.files import ReplayFile

        settings = configured(
            *(ReplayFile, context, config),
            model={"name": model, "weights": weights, "dtype": dtype, "device": device, "threads": threads},
            clips={"stride": stride, "hop": hop, "rate": rate},
            plan=_plan(policy, levels, accuracy_tolerance, max_accuracy_loss, pixels_stay, codecs)
            | {"pruning": pruning, "split": split, "codec": codec, "device_only": device_only},
            link={"url": cloud, "patience_s": patience, "prior_mbps": prior_mbps}
            | _shown(token_file, tls_ca, tls_cert, tls_key, insecure),
            peers={"urls": _listed(peers), "fusion": fusion, "part": part},
            profile=profile,
            slowdown=emulate_slowdown,
            in_flight=in_flight,
            sla_ms=sla_ms,
            top_k=top_k,
            videos=tuple(videos or ()),
            output=output,
            pattern=pattern,
            resume=resume,
            overwrite=overwrite,
            strict=strict,
        )

        from commands.replay import ReplayRequest, run

        return run(settings, ReplayRequest.of(settings))

    goes_on = (
        "" if str(output) == "-" else f"; {output or 'its output'} holds all records so far, --resume goes on"
    )
    sys.exit(guarded(work, f"interrupted{goes_on}"))


@app.command()
def device(
    context: typer.Context,
    source: Annotated[
        list[str] | None,
        typer.Option(
            "--source",
            help="rtsp://USER:${PASSWORD}@HOST/PATH, http://HOST/PATH, webcam:/dev/video0, "
            "pattern:motions?fps=8&seed=0&clips=20, or a video; NAME= before it names it.",
        ),
    ] = None,
    config: Config = None,
    cloud: Cloud = None,
    peers: Peers = None,
    fusion: FusionFile = None,
    part: OwnPart = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Also write JSON lines here; - is stdout.")
    ] = None,
    sink: Annotated[
        list[str] | None,
        typer.Option(
            "--sink",
            help="Also write there: mqtt://HOST/TOPIC, https://HOST/HOOK, sqlite:FILE, FILE.jsonl; may be "
            "given again.",
        ),
    ] = None,
    policy: Policy = None,
    levels: Levels = None,
    accuracy_tolerance: Tolerance = 0.01,
    max_accuracy_loss: MaxLoss = None,
    pixels_stay: PixelsStay = False,
    codecs: Codecs = None,
    profile: ProfileOption = None,
    prior_mbps: PriorMbps = 10.0,
    pruning: PruningOption = None,
    split: Split = None,
    codec: Codec = None,
    device_only: DeviceOnly = False,
    emulate_slowdown: Slowdown = 1.0,
    stride: Stride = 1,
    hop: Hop = None,
    rate: Rate = None,
    model: Model = "motions",
    weights: Weights = None,
    dtype: DtypeOption = Dtype.FLOAT32,
    device: DeviceOption = "cpu",
    threads: Threads = 1,
    top_k: TopK = 5,
    sla_ms: SlaMs = None,
    grace: Grace = 10.0,
    strict: Strict = False,
    metrics_port: MetricsPort = None,
    metrics_host: MetricsHost = "127.0.0.1",
    token_file: TokenFile = None,
    tls_ca: TlsCa = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    insecure: SendInsecure = False,
    log: Log = LogStyle.TEXT,
    verbose: Verbose = 0,
) -> None:
    """Classify live sources; where more comes than can be served, the oldest clips are dropped."""
    set_up_logging(verbose, log.value)

    def work() -> int:
        from commands.configuration import configured
        from configs.files import DeviceFile

        settings = configured(
            *(DeviceFile, context, config),
            model={"name": model, "weights": weights, "dtype": dtype, "device": device, "threads": threads},
            clips={"stride": stride, "hop": hop, "rate": rate},
            plan=_plan(policy, levels, accuracy_tolerance, max_accuracy_loss, pixels_stay, codecs)
            | {"pruning": pruning, "split": split, "codec": codec, "device_only": device_only},
            link={"url": cloud, "prior_mbps": prior_mbps}
            | _shown(token_file, tls_ca, tls_cert, tls_key, insecure),
            peers={"urls": _listed(peers), "fusion": fusion, "part": part},
            profile=profile,
            slowdown=emulate_slowdown,
            sla_ms=sla_ms,
            top_k=top_k,
            grace_s=grace,
            strict=strict,
            metrics={"host": metrics_host, "port": metrics_port},
            log=log.value,
        )
        set_up_logging(verbose, settings.log)

        from commands.device import DeviceRequest, run

        sources = tuple(source) if source else settings.wanted
        sinks = tuple(sink) if sink else tuple(settings.sinks.values())
        return run(settings, DeviceRequest(sources, output, settings.strict, sinks))

    sys.exit(guarded(work))


@app.command()
def demo(
    seconds: Annotated[
        float, typer.Option("--seconds", min=1, max=86400, help="How long the live pattern plays.")
    ] = 15.0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Which motions are shown.")] = 0,
    output: Annotated[Path, typer.Option("--output", help="Where the summary goes.")] = Path(
        "results/demo.json"
    ),
    sla_ms: Annotated[float, typer.Option("--sla-ms", min=1, help="Latency promise.")] = 250.0,
    policy: Policy = None,
    verbose: Verbose = 0,
) -> None:
    """Start a cloud and a device process, show them moving pictures, and sum up what they saw."""
    set_up_logging(verbose)

    def work() -> int:
        from commands.demo import run

        return run(seconds, seed, output, sla_ms, policy)

    sys.exit(guarded(work))


@app.command()
def live(
    seconds: Annotated[
        float | None, typer.Option("--seconds", min=1, max=86400, help="How long. (until Ctrl-C)")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Which motions are shown, on which link.")] = 0,
    sla_ms: Annotated[float, typer.Option("--sla-ms", min=1, help="Latency promise.")] = 600.0,
    verbose: Verbose = 0,
) -> None:
    """Start a camera, a cloud, a slow link and a device, and show what the device sees until Ctrl-C."""
    set_up_logging(verbose)

    def work() -> int:
        from commands.live import run

        return run(seconds, seed, sla_ms)

    sys.exit(guarded(work))


@app.command()
def profile(
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the profile goes (JSON).")],
    model: Model = "motions",
    weights: Weights = None,
    dtype: DtypeOption = Dtype.FLOAT32,
    device: DeviceOption = "cpu",
    threads: Threads = 1,
    quick: Annotated[bool, typer.Option("--quick", help="Take seconds, not minutes.")] = False,
    least_tokens: Annotated[
        int | None, typer.Option("--least-tokens", min=3, help="Measure layers from so many tokens on.")
    ] = None,
    most_tokens: Annotated[
        int | None,
        typer.Option("--most-tokens", min=3, max=16384, help="Measure layers up to so many tokens."),
    ] = None,
    verbose: Verbose = 0,
) -> None:
    """Measure how long a model takes on this machine, and what its codecs cost."""
    set_up_logging(verbose)

    def work() -> int:
        from commands.profile import ProfileRequest, run
        from configs.settings import ModelSettings, checked

        settings = checked(
            ModelSettings, name=model, weights=weights, dtype=dtype, device=device, threads=threads
        )
        return run(settings, output, ProfileRequest(quick, least_tokens, most_tokens))

    sys.exit(guarded(work))


@app.command()
def evaluate(
    data: Annotated[
        str,
        typer.Option(
            "--data",
            help="A folder with one sub-folder a class, a CSV of path and label, a zip of either, or "
            "pattern:motions?seed=1&clips=400.",
        ),
    ],
    model: Model = "motions",
    weights: Weights = None,
    dtype: DtypeOption = Dtype.FLOAT32,
    device: DeviceOption = "cpu",
    threads: Threads = 2,
    protocol: Annotated[
        str, typer.Option("--protocol", help="Views of a video: clips in time x crops, such as 10x1.")
    ] = "10x1",
    stride: Annotated[int, typer.Option("--stride", min=1, help="A clip takes every n-th frame.")] = 4,
    prunings: Annotated[
        str | None, typer.Option("--prunings", help="uniform:8,exponential:0.3,... (twelve of them)")
    ] = None,
    codecs: Annotated[
        str | None,
        typer.Option("--codecs", help="png,jpeg:90,int8+zstd,... or none. (all that the scheduler uses)"),
    ] = None,
    splits: Annotated[
        str | None, typer.Option("--splits", help="Where tokens cross: 3,6,9. (the quarters of the depth)")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="So many examples at most, alike from each class.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Which examples --limit takes.")] = 0,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Keep every answer (JSON lines), for --resume.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what --output holds.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Discard what --output holds.")] = False,
    levels: Annotated[
        Path | None, typer.Option("--levels", help="Write the level file that the scheduler reads (YAML).")
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="Draw accuracy against work and against bytes.")
    ] = None,
    batch: Annotated[
        int | None, typer.Option("--batch", min=1, help="Clips run at once. (as make 3200 tokens)")
    ] = None,
    cloud: Cloud = None,
    patience: Patience = 30.0,
    token_file: TokenFile = None,
    tls_ca: TlsCa = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    insecure: SendInsecure = False,
    verbose: Verbose = 0,
) -> None:
    """Measure what prunings and codecs cost a model in accuracy, here or through a cloud."""
    set_up_logging(verbose)

    def work() -> int:
        from commands.evaluate import EvaluateRequest, run
        from commands.evaluation.cells import listed, listed_splits
        from commands.evaluation.data import Data
        from sources.labelled import Protocol

        settings = _device_settings(
            model={"name": model, "weights": weights, "dtype": dtype, "device": device, "threads": threads},
            link={"url": cloud, "patience_s": patience}
            | _shown(token_file, tls_ca, tls_cert, tls_key, insecure),
        )
        request = EvaluateRequest(
            data=Data(data, Protocol.parse(protocol, stride), limit, seed),
            prunings=() if prunings is None else tuple(prunings.split(",")),
            codecs=None if codecs is None else listed(codecs),
            splits=listed_splits(splits),
            output=output,
            resume=resume,
            overwrite=overwrite,
            levels=levels,
            html=html,
            batch=batch,
        )
        return run(settings, request)

    goes_on = "" if output is None else f"; {output} holds all answers so far, --resume goes on"
    sys.exit(guarded(work, f"interrupted{goes_on}"))


@app.command()
def link(
    listen: Annotated[
        str, typer.Option("--listen", help="HOST:PORT to take connections at; port 0 is free.")
    ],
    to: Annotated[str, typer.Option("--to", help="HOST:PORT to relay them to.")],
    trace: Annotated[
        str | None, typer.Option("--trace", help="FILE[:RUN[:5g|lte]]: follow a recorded uplink.")
    ] = None,
    mbps: Annotated[float | None, typer.Option("--mbps", help="A constant uplink, in Mbit/s.")] = None,
    lte: Annotated[
        int | None, typer.Option("--lte", min=0, help="A made-up LTE uplink from this seed.")
    ] = None,
    rtt_ms: Annotated[
        float | None, typer.Option("--rtt-ms", help="Round trip. (the trace's own, else 30)")
    ] = None,
    down_mbps: Annotated[
        float | None, typer.Option("--down-mbps", help="Downlink, in Mbit/s. (no limit)")
    ] = None,
    loop: Annotated[
        bool, typer.Option("--loop/--once", help="Begin again at the trace's end, or keep its last value.")
    ] = True,
    outage: Annotated[
        str | None, typer.Option("--outage", help="EVERY:LENGTH in s; 20:5 is 15 s up, 5 s dead, and again.")
    ] = None,
    verbose: Verbose = 0,
) -> None:
    """Emulate a slow link: a TCP relay whose uplink is as fast as a trace says."""
    set_up_logging(verbose)

    def work() -> int:
        from commands.link import LinkRequest, run

        return run(LinkRequest(listen, to, trace, mbps, lte, rtt_ms, down_mbps, not loop, outage))

    sys.exit(guarded(work))


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="A YAML file for --config.", show_default=False)],
    verb: Annotated[
        Verb | None, typer.Option("--for", help="Which verb it is for. (told by its keys)")
    ] = None,
) -> None:
    """Say whether a configuration file would do, and print what would run; starts nothing."""

    def work() -> int:
        from commands.check import run

        return run(file, verb)

    sys.exit(guarded(work))


@app.command()
def camera(
    video: Annotated[str, typer.Argument(help="A video file, or pattern:motions.", show_default=False)],
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = 8554,
    path: Annotated[str, typer.Option("--path", help="What follows the port in the URL.")] = "stream",
    user: Annotated[str | None, typer.Option("--user", help="Who may watch. (everybody)")] = None,
    password_file: Annotated[
        Path | None,
        typer.Option(
            "--password-file", help="A file that holds the user's password. (JANUS_CAMERA_PASSWORD)"
        ),
    ] = None,
    udp: Annotated[bool, typer.Option("--udp/--no-udp", help="Offer RTP over UDP beside TCP.")] = True,
    tls_cert: Annotated[
        Path | None, typer.Option("--tls-cert", help="Speak rtsps with this certificate (PEM).")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", help="The certificate's key (PEM).")] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            "--fault",
            help="In s after the start: freeze:AT:FOR, fin:AT, rst:AT, refuse:AT:FOR or down:AT:FOR; "
            "late-describe:FOR. May be given several times.",
        ),
    ] = None,
    fps: Annotated[float | None, typer.Option("--fps", help="Frames a second. (the video's own)")] = None,
    verbose: Verbose = 0,
) -> None:
    """Play a video as an RTSP camera, to test against."""
    set_up_logging(verbose)

    def work() -> int:
        from commands.camera import password_for, run
        from sources.camera import CameraSettings, parse_fault

        faults = tuple(parse_fault(text) for text in fault or ())
        settings = CameraSettings(
            video,
            host,
            port,
            path,
            user,
            password_for(user, password_file),
            udp,
            tls_cert,
            tls_key,
            faults,
            fps,
        )
        return run(settings)

    sys.exit(guarded(work))


@app.command()
def simulate(
    more: Annotated[
        list[Path] | None, typer.Argument(help="More trace files or folders.", show_default=False)
    ] = None,
    setup: Annotated[Path, typer.Option("--setup", help="Machines, models and promises (YAML).")] = (
        PAPER_SETUP
    ),
    traces: Annotated[
        list[Path] | None, typer.Option("--traces", help="Trace files, or folders of them.")
    ] = None,
    lte: Annotated[
        int | None, typer.Option("--lte", min=0, help="Made-up LTE uplinks from this seed instead of traces.")
    ] = None,
    policies: Annotated[list[str] | None, typer.Option("--policies", help="Which to compare. (all)")] = None,
    task: Annotated[str | None, typer.Option("--task", help="One task of the setup. (all)")] = None,
    pixels_stay: PixelsStay = False,
    rescue: Annotated[
        bool, typer.Option("--rescue/--no-rescue", help="janus+ finishes late clips on the device.")
    ] = True,
    clips_per_second: Annotated[
        float | None, typer.Option("--clips-per-second", help="Arrivals. (one clip after the other)")
    ] = None,
    series: Annotated[
        str | None, typer.Option("--series", help="The trace whose time series the report shows.")
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write a report with plots.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Rows as JSON on stdout, the rest on stderr.")
    ] = False,
    verbose: Verbose = 0,
) -> None:
    """Compare policies over recorded links, clip by clip, without running a model."""
    set_up_logging(verbose)

    def work() -> int:
        from commands.simulate import SimulateRequest, run

        names = tuple(name for value in policies or [] for name in value.split(",") if name)
        request = SimulateRequest(
            setup,
            (*(traces or ()), *(more or ())),
            lte,
            names,
            task,
            pixels_stay,
            rescue,
            clips_per_second,
            series,
            html,
            as_json,
        )
        return run(request)

    sys.exit(guarded(work))


@app.command()
def explain(
    results: Annotated[Path, typer.Argument(help="Result file of replay or device.", show_default=False)],
    clip_id: Annotated[str, typer.Argument(help="Which clip.", show_default=False)],
) -> None:
    """Say why a clip got the plan that it got, from its record."""

    def work() -> int:
        from commands.explain import run

        return run(results, clip_id)

    sys.exit(guarded(work))


@app.command("train-sample")
def train_sample(
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the weights go.")] = Path(
        "results/motions.safetensors"
    ),
    seed: Annotated[int, typer.Option("--seed", min=0, help="Which clips it learns from.")] = 0,
    steps: Annotated[int, typer.Option("--steps", min=1, help="How many batches it learns from.")] = 3600,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Clips a batch.")] = 32,
    threads: Threads = 1,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint beside the output.")
    ] = False,
    verbose: Verbose = 0,
) -> None:
    """Train the small model that ships, which names the motions of synthetic clips."""
    set_up_logging(verbose)

    def work() -> int:
        from commands.train_sample import run

        return run(
            output=output, seed=seed, steps=steps, batch_size=batch_size, threads=threads, resume=resume
        )

    sys.exit(guarded(work, "interrupted; --resume goes on from the last checkpoint"))


def _plan(
    policy: str | None,
    levels: Path | None,
    accuracy_tolerance: float,
    max_accuracy_loss: float | None,
    pixels_stay: bool,
    codecs: str | None,
) -> dict[str, object]:
    return {
        "policy": policy,
        "levels": levels,
        "accuracy_tolerance": accuracy_tolerance,
        "max_accuracy_loss": max_accuracy_loss,
        "pixels_stay": pixels_stay,
        "codecs": tuple(codecs.split(",")) if codecs else (),
    }


def _listed(peers: str | None) -> tuple[str, ...]:
    return tuple(url.strip() for url in peers.split(",")) if peers else ()


def _shown(
    token_file: Path | None, tls_ca: Path | None, tls_cert: Path | None, tls_key: Path | None, insecure: bool
) -> dict[str, object]:
    return {
        "token_file": token_file,
        "tls_ca": tls_ca,
        "tls_cert": tls_cert,
        "tls_key": tls_key,
        "insecure": insecure,
    }


def _device_settings(model: dict[str, object], **groups: object) -> "DeviceSettings":
    from configs.settings import DeviceSettings, checked

    return checked(DeviceSettings, model=model, **groups)


def spread(arguments: list[str], options: frozenset[str] = SEVERAL) -> list[str]:
    """`--traces A B` as `--traces A --traces B`: click's options take one value each."""
    found: list[str] = []
    option = None
    for argument in arguments:
        if argument.startswith("-"):
            option = argument if argument in options else None
        elif option is not None and found[-1] != option:
            found.append(option)
        found.append(argument)
    return found


if __name__ == "__main__":
    app(spread(sys.argv[1:]))
