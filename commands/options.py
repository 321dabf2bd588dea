"""Options that several verbs share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Dtype(StrEnum):
    """Number formats of the layers."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    INT8 = "int8"


class LogStyle(StrEnum):
    """How log lines look."""

    TEXT = "text"
    JSON = "json"


class Verb(StrEnum):
    """Verbs that take a configuration file."""

    CLOUD = "cloud"
    DEVICE = "device"
    REPLAY = "replay"
    PEER = "peer"


PLANNING = "How plans are chosen"
BY_HAND = "One plan for every clip"
PEERS = "Small models on several boxes (DeViT)"
SECURITY = "Who may speak with whom"

Model = Annotated[str, typer.Option("--model", help="Model name; see docs/models.md.")]
Weights = Annotated[
    str | None,
    typer.Option(
        "--weights",
        help="A .safetensors or .pth file, hf:OWNER/NAME, timm:NAME, 'pretrained' (timm's) or 'random'.",
    ),
]
DtypeOption = Annotated[Dtype, typer.Option("--dtype", help="Number format of the layers.")]
DeviceOption = Annotated[str, typer.Option("--device", help="cpu, cuda or cuda:N.")]
Threads = Annotated[int, typer.Option("--threads", min=1, help="Threads of the model.")]
TopK = Annotated[int, typer.Option("--top-k", min=1, help="How many classes a record lists.")]
Verbose = Annotated[
    int, typer.Option("-v", "--verbose", count=True, help="Say what happens; -vv every detail.")
]
Cloud = Annotated[
    str | None,
    typer.Option("--cloud", help="Where the cloud listens: ws://host:port, or with TLS wss://host:port."),
]
Peers = Annotated[
    str | None,
    typer.Option(
        "--peers", help="Peers instead of a cloud: ws://HOST:PORT,ws://HOST:PORT,...", rich_help_panel=PEERS
    ),
]
FusionFile = Annotated[
    Path | None,
    typer.Option("--fusion", help="The fusion of their parts, of main.py devit fit.", rich_help_panel=PEERS),
]
OwnPart = Annotated[
    Path | None,
    typer.Option("--part", help="The part that this device holds itself.", rich_help_panel=PEERS),
]
Policy = Annotated[
    str | None,
    typer.Option(
        "--policy",
        help="Who plans: janus+, janus, device-only, cloud-only or mixed. (janus+)",
        rich_help_panel=PLANNING,
    ),
]
Levels = Annotated[
    Path | None,
    typer.Option(
        "--levels", help="Measured accuracy of prunings and codecs (YAML).", rich_help_panel=PLANNING
    ),
]
Tolerance = Annotated[
    float,
    typer.Option(
        "--accuracy-tolerance",
        min=0,
        max=1,
        help="Levels this close count as equal, and the fastest of them is taken.",
        rich_help_panel=PLANNING,
    ),
]
MaxLoss = Annotated[
    float | None,
    typer.Option(
        "--max-accuracy-loss",
        min=0,
        max=1,
        help="Go no further below the best level; needs --levels.",
        rich_help_panel=PLANNING,
    ),
]
PixelsStay = Annotated[
    bool,
    typer.Option("--pixels-stay", help="Never send pixels (no split 0).", rich_help_panel=PLANNING),
]
Codecs = Annotated[
    str | None,
    typer.Option("--codecs", help="Codecs to choose from: png,jpeg:90,int8+zstd.", rich_help_panel=PLANNING),
]
ProfileOption = Annotated[
    Path | None,
    typer.Option(
        "--profile",
        help="Latency profile of this machine. (measured at the first start)",
        rich_help_panel=PLANNING,
    ),
]
PriorMbps = Annotated[
    float,
    typer.Option("--prior-mbps", help="Bandwidth to expect before any was seen.", rich_help_panel=PLANNING),
]
Slowdown = Annotated[
    float,
    typer.Option("--emulate-slowdown", min=1, help="Pretend that this device is so many times slower."),
]
PruningOption = Annotated[
    str | None,
    typer.Option(
        "--pruning",
        help="none, exponential:A, uniform:R, falling:M, rising:M, late:K:R or ramp:FIRST:LAST.",
        rich_help_panel=BY_HAND,
    ),
]
Split = Annotated[
    int | None,
    typer.Option(
        "--split",
        help="Cut after this layer; 0 all in the cloud, N + 1 all on the device. (middle)",
        rich_help_panel=BY_HAND,
    ),
]
Codec = Annotated[
    str | None,
    typer.Option(
        "--codec",
        help="raw, png, jpeg:Q or h264:CRF at split 0, else float32, float16, int8 or int4, with +zstd, "
        "+lz4 or +lzw. (int8+zstd; at split 0 h264:23, for images jpeg:90)",
        rich_help_panel=BY_HAND,
    ),
]
DeviceOnly = Annotated[
    bool,
    typer.Option("--device-only", help="Run all layers here; needs no cloud.", rich_help_panel=BY_HAND),
]
OPERATIONS = "For operators"
Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="A YAML file of settings; options given here count instead of its keys. See main.py check.",
    ),
]
Host = Annotated[str, typer.Option("--host", help="Address to listen on.")]
MaxMessageMb = Annotated[
    float, typer.Option("--max-message-mb", min=0.002, max=1000, help="Largest message taken.")
]
MaxInFlight = Annotated[int, typer.Option("--max-in-flight", min=1, help="Clips a device may have open.")]
MaxBatch = Annotated[int, typer.Option("--max-batch", min=1, help="Clips that may share a batch.")]
Log = Annotated[
    LogStyle,
    typer.Option(
        "--log", help="How log lines look: text, or json, an object a line.", rich_help_panel=OPERATIONS
    ),
]
MetricsPort = Annotated[
    int | None,
    typer.Option(
        "--metrics-port",
        min=0,
        max=65535,
        help="Serve /metrics, /healthz and /readyz here; 0 takes a free one. (off)",
        rich_help_panel=OPERATIONS,
    ),
]
MetricsHost = Annotated[
    str,
    typer.Option("--metrics-host", help="Address to serve them at.", rich_help_panel=OPERATIONS),
]
Stride = Annotated[int, typer.Option("--stride", min=1, help="Take every n-th frame of the source.")]
Hop = Annotated[
    int | None,
    typer.Option("--hop", min=1, help="Frames between the starts of two clips. (no gap, no overlap)"),
]
Rate = Annotated[
    float | None, typer.Option("--rate", help="Frames a second to resample to. (the source's own)")
]
Patience = Annotated[float, typer.Option("--patience", help="Seconds to wait for a cloud that went away.")]
SlaMs = Annotated[float | None, typer.Option("--sla-ms", help="Latency promise; a clip above it is 'late'.")]
Strict = Annotated[
    bool, typer.Option("--strict", help="Exit with 1 unless clips admitted = records written.")
]
Grace = Annotated[
    float, typer.Option("--grace", min=0, help="Seconds to finish what is under way when asked to end.")
]
TokensFile = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        help="A file of tokens, one a line; a device must show one. Else JANUS_TOKEN is read.",
        rich_help_panel=SECURITY,
    ),
]
TlsClientCa = Annotated[
    Path | None,
    typer.Option(
        "--tls-client-ca", help="A device must show a certificate of this CA.", rich_help_panel=SECURITY
    ),
]
LetIn = Annotated[
    bool,
    typer.Option("--insecure", help="Let in everybody who reaches this machine.", rich_help_panel=SECURITY),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        help="A file with the token that the cloud asks for; else the variable JANUS_TOKEN is read.",
        rich_help_panel=SECURITY,
    ),
]
TlsCa = Annotated[
    Path | None,
    typer.Option(
        "--tls-ca",
        help="The CA of the cloud's certificate, unless the system knows it.",
        rich_help_panel=SECURITY,
    ),
]
TlsCert = Annotated[
    Path | None,
    typer.Option("--tls-cert", help="Certificate to show (PEM); needs --tls-key.", rich_help_panel=SECURITY),
]
TlsKey = Annotated[
    Path | None, typer.Option("--tls-key", help="The certificate's key (PEM).", rich_help_panel=SECURITY)
]
SendInsecure = Annotated[
    bool,
    typer.Option(
        "--insecure", help="Send the token without TLS, where the network is safe.", rich_help_panel=SECURITY
    ),
]
