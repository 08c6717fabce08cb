"""The labelled flows as arrays: what the model may see, which rows count and how much."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

DAYS = ("mon", "tue", "wed", "thu")
CLASSES = ("DoS Hulk", "DoS GoldenEye", "DoS Slowloris", "DoS Slowhttptest")
BENIGN = "BENIGN"
SIDE_COLUMNS = 8
FEATURE_COUNT = 79

# What the model may be asked about: no attack that it learns from lies outside. Connections without a request
# (scans, floods of SYN, keep-alive probes of one byte) are nothing that it could have learned about.
KNOWS = dict(protocols=[6], packetsMin=2, forwardPayloadMinBytes=4)

# Ports name the service that was attacked, not the attack; the subflow columns of the data are broken
# (floor(total / packets) in every row); the protocol is constant among the rows that are scored.
ALWAYS_MASKED = (
    "src_port", "dst_port", "protocol",
    "subflow_fwd_pkts", "subflow_fwd_byts", "subflow_bwd_pkts", "subflow_bwd_byts",
)
# All four attack tools ran on one machine: these tell its TCP stack, not what the tools did.
WINDOWS = ("init_fwd_win_byts", "init_bwd_win_byts")
HEADERS = ("fwd_header_len", "bwd_header_len", "fwd_seg_size_min")


@dataclass(frozen=True)
class Flows:
    """Deduplicated rows. `x` is float32, as the flow meter and onnxruntime have it."""

    names: list[str]
    x: np.ndarray
    label: np.ndarray
    day: np.ndarray
    weight: np.ndarray
    group: np.ndarray
    scored: np.ndarray  # the model has an opinion, see KNOWS
    files: dict[str, str]  # name -> SHA-256
    rows_read: int

    def where(self, label=None, day=None) -> np.ndarray:
        keep = self.scored.copy()
        if label is not None:
            keep &= self.label == label
        if day is not None:
            keep &= self.day == day
        return np.flatnonzero(keep)

    def columns(self, masked) -> np.ndarray:
        return np.array([i for i, name in enumerate(self.names) if name not in masked])


def load(folder: Path) -> Flows:
    frames, files = [], {}
    for day in DAYS:
        path = folder / f"cicids2017_improved_{day}.csv.gz"
        files[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
        frame = pd.read_csv(path)
        frame["day"] = day
        frames.append(frame)
    table = pd.concat(frames, ignore_index=True)
    names = list(table.columns[SIDE_COLUMNS:SIDE_COLUMNS + FEATURE_COUNT])
    x = table[names].to_numpy(np.float32)
    if not np.isfinite(x).all():
        raise SystemExit("a row holds a value that is not a finite float32")
    key = pd.DataFrame({"row": [row.tobytes() for row in x], "label": table.label, "day": table.day})
    keep = ~key.duplicated().to_numpy()
    # The weight of a dropped copy goes to the row that stays, so that prevalence is kept.
    weight = table.sample_weight.groupby([key.row, key.label, key.day]).transform("sum").to_numpy()
    table, x, weight = table[keep], x[keep], weight[keep]
    pair_hour = table.src_ip + ">" + table.dst_ip + "@" + table.timestamp.str.slice(0, 13)
    packets = x[:, names.index("tot_fwd_pkts")] + x[:, names.index("tot_bwd_pkts")]
    return Flows(
        names=names, x=x, label=table.label.to_numpy(str), day=table.day.to_numpy(str),
        weight=weight, group=pair_hour.to_numpy(str),
        scored=np.isin(x[:, names.index("protocol")], KNOWS["protocols"])
        & (packets >= KNOWS["packetsMin"])
        & (x[:, names.index("totlen_fwd_pkts")] >= KNOWS["forwardPayloadMinBytes"]),
        files=files, rows_read=len(key),
    )
