"""
Trains, calibrates, evaluates and exports the `ddos` model: same data, seed and versions, same bytes.

    python3 actors/ml/training/train.py --data <folder of flows> --out actors/ml/models --seed 7
"""

import argparse
import hashlib
import json
import platform
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnxruntime

import evaluate as ev
from card import model_card
from dataset import BENIGN, CLASSES, FEATURE_COUNT, KNOWS, Flows, load
from model import (
    ATTACK_PRIOR, PARAMETERS, TREES, fit, left_out_margins, platt, score, training_rows,
)
from onnx_export import export, round_down

PACKAGES = ("lightgbm", "numpy", "onnx", "onnxruntime", "pandas")
MASK = ev.MASKS["windows and headers out"]
PARITY_ROWS = 64
PARITY_LIMIT = 1e-5


def scored_by_runtime(model: bytes, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(["score"], {"features": x})[0][:, 0]


def boundary_vectors(booster, columns, seed) -> np.ndarray:
    """Made-up vectors whose every value stands on, just above or just below a cut of the model."""
    cuts: dict[int, list[float]] = {}

    def walk(node) -> None:
        if "leaf_value" not in node:
            cuts.setdefault(int(columns[node["split_feature"]]), []).append(node["threshold"])
            walk(node["left_child"])
            walk(node["right_child"])

    for tree in booster.dump_model()["tree_info"]:
        walk(tree["tree_structure"])
    rng = np.random.default_rng(seed)
    x = np.zeros((PARITY_ROWS, FEATURE_COUNT), np.float32)
    for feature, values in cuts.items():
        chosen = np.array([round_down(v) for v in rng.choice(values, PARITY_ROWS)], np.float32)
        aside = rng.integers(-1, 2, PARITY_ROWS)
        away = np.where(aside < 0, -np.inf, np.inf).astype(np.float32)
        x[:, feature] = np.where(aside == 0, chosen, np.nextafter(chosen, away))
    return x


def check_parity(booster, columns, calibration, model: bytes, x: np.ndarray) -> np.ndarray:
    expected = score(calibration, booster.predict(x[:, columns].astype(np.float64), raw_score=True))
    worst = float(np.abs(expected - scored_by_runtime(model, x)).max())
    if worst > PARITY_LIMIT:
        raise SystemExit(f"LightGBM and onnxruntime differ by {worst}")
    return expected


def baseline_of(flows: Flows) -> dict:
    """Median and robust scale of log(1 + x) over benign flows: what a reason is measured against."""
    logs = np.log1p(np.abs(flows.x[flows.where(BENIGN)].astype(np.float64)))
    median = np.median(logs, axis=0)
    deviation = 1.4826 * np.median(np.abs(logs - median), axis=0)
    scale = np.maximum(np.maximum(deviation, logs.std(axis=0)), 1e-3)
    return dict(transform="log1p(abs(x))", median=np.round(median, 6).tolist(),
                scale=np.round(scale, 6).tolist())


def entry(flows: Flows, columns, name, file, model: bytes, rows, calibration, **more) -> dict:
    labels, counts = np.unique(flows.label[rows], return_counts=True)
    return dict(
        name=name, version=f"{name}-{hashlib.sha256(model).hexdigest()[:12]}", file=file,
        sha256=hashlib.sha256(model).hexdigest(), threat="ddos", threshold=ev.CUT,
        input=dict(name="features", columns=FEATURE_COUNT, type="float32"),
        output=dict(name="score", columns=1, type="float32"),
        knows=KNOWS,
        masked=[n for i, n in enumerate(flows.names) if i not in columns],
        calibration=dict(kind="platt", scale=calibration[0], offset=calibration[1],
                         attackPrior=ATTACK_PRIOR),
        trainedOn={str(n): int(c) for n, c in zip(labels, counts)}, **more,
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--data", type=Path, required=True, help="folder of the labelled flow files")
    options.add_argument("--out", type=Path, required=True, help="folder of the models")
    options.add_argument("--seed", type=int, default=7)
    given = options.parse_args()
    flows, seed = load(given.data), given.seed
    columns = flows.columns(MASK)
    (given.out / "holdout").mkdir(parents=True, exist_ok=True)

    print("leave one attack out")
    attacks, fitted = ev.leave_one_attack_out(flows, columns, seed)
    print("leave one day out")
    days = ev.leave_one_day_out(flows, columns, seed)
    print("ablation and baselines")
    report = dict(
        leaveOneAttackOut=attacks, leaveOneDayOut=days,
        macroF1=round(float(np.mean([a["f1"] for a in attacks])), 4),
        ablation=ev.ablation(flows, seed), fingerprints=ev.fingerprints(flows),
        baselines=ev.baselines(flows, columns, seed),
        randomSplitUpperBound=ev.random_split(flows, columns, seed),
    )

    rows = training_rows(flows)
    booster = fit(flows, columns, rows, seed)
    calibration = platt(*left_out_margins(flows, columns, seed))
    model = export(booster, columns, calibration, "ddos")
    vectors = boundary_vectors(booster, columns, seed)
    expected = check_parity(booster, columns, calibration, model, vectors)
    check_parity(booster, columns, calibration, model, flows.x[flows.scored])
    (given.out / "ddos.onnx").write_bytes(model)
    models = [entry(flows, columns, "ddos", "ddos.onnx", model, rows, calibration,
                    evaluationOnly=False)]

    for name in CLASSES:
        held_booster, held_calibration, held_rows = fitted[name]
        stem = "ddos-without-" + name.removeprefix("DoS ").lower()
        held = export(held_booster, columns, held_calibration, stem)
        check_parity(held_booster, columns, held_calibration, held, flows.x[flows.scored])
        (given.out / "holdout" / f"{stem}.onnx").write_bytes(held)
        models.append(entry(flows, columns, stem, f"holdout/{stem}.onnx", held, held_rows,
                            held_calibration, evaluationOnly=True, heldOut=name,
                            heldOutBenignDay=ev.ATTACK_DAY))

    manifest = dict(
        format=1, models=models, features=flows.names, benign=baseline_of(flows),
        training=dict(
            seed=seed, trees=TREES, parameters=PARAMETERS, data=flows.files,
            rows=dict(read=flows.rows_read, distinct=len(flows.x), scored=int(flows.scored.sum())),
            python=platform.python_version(), packages={p: version(p) for p in PACKAGES},
        ),
        metrics=report,
    )
    (given.out / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    (given.out / "ddos.md").write_text(model_card(manifest))
    parity = dict(
        model=models[0]["sha256"], vectors=[[float(v) for v in row] for row in vectors],
        scores=[float(s) for s in expected],
    )
    (given.out / "parity.json").write_text(json.dumps(parity) + "\n")
    for attack in attacks:
        print(attack["held_out"], "TPR", attack["tpr"]["rate"], "FPR", attack["fpr_scored"]["rate"])


if __name__ == "__main__":
    main()
