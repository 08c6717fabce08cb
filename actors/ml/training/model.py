"""Training of one model and its calibration on attacks and days that it has not seen."""

import lightgbm as lgb
import numpy as np

from dataset import BENIGN, CLASSES, DAYS, Flows

TREES = 300
# Many shallow, random trees: with four tools to learn from, what a deep tree finds is a tool.
PARAMETERS = dict(
    objective="binary", learning_rate=0.05, num_leaves=15, max_depth=4, min_data_in_leaf=50,
    feature_fraction=0.15, extra_trees=True, lambda_l2=10.0,
    num_threads=1, deterministic=True, force_row_wise=True, verbosity=-1,
)
UNTUNED = dict(
    objective="binary", num_threads=1, deterministic=True, force_row_wise=True, verbosity=-1,
)
# Share of attacks among the scored flows for which a calibrated score is a probability. Far below that of the
# data: an attack is thousands of flows, of which a part is enough, and a false alarm blocks somebody.
ATTACK_PRIOR = 0.03


def class_weights(flows: Flows, rows: np.ndarray) -> np.ndarray:
    """Every attack class weighs the same, all attacks together as much as all benign rows."""
    label = flows.label[rows]
    weight = flows.weight[rows].astype(float)
    classes = [c for c in np.unique(label) if c != BENIGN]
    for name in np.unique(label):
        share = 1.0 if name == BENIGN else 1.0 / len(classes)
        weight[label == name] *= share / weight[label == name].sum()
    return weight * len(rows) / 2


def training_rows(flows: Flows, without_classes=(), without_days=()) -> np.ndarray:
    """Benign rows of the remaining days and the remaining DoS classes (which are all of one day)."""
    benign = (flows.label == BENIGN) & ~np.isin(flows.day, without_days)
    attack = np.isin(flows.label, [c for c in CLASSES if c not in without_classes])
    return np.flatnonzero(flows.scored & (benign | attack))


def fit(flows: Flows, columns, rows, seed, parameters=PARAMETERS, trees=TREES, weighted=True):
    data = lgb.Dataset(
        flows.x[rows][:, columns], np.isin(flows.label[rows], CLASSES).astype(float),
        weight=class_weights(flows, rows) if weighted else None,
    )
    return lgb.train({**parameters, "seed": seed}, data, trees)


def margin(booster, flows: Flows, columns, rows) -> np.ndarray:
    return booster.predict(flows.x[rows][:, columns], raw_score=True)


def left_out_margins(flows: Flows, columns, seed, without_classes=(), without_days=()):
    """
    Margins of attacks by models that never saw their class, and of benign flows by models that never saw
    their day; with weights: classes equal, benign by prevalence, attacks ATTACK_PRIOR of the whole.
    """
    attacks, benign, attack_weight, benign_weight = [], [], [], []
    for name in CLASSES:
        for day in DAYS:
            if name in without_classes or day in without_days:
                continue
            rows = training_rows(flows, (*without_classes, name), (*without_days, day))
            booster = fit(flows, columns, rows, seed)
            positive, negative = flows.where(name), flows.where(BENIGN, day)
            attacks.append(margin(booster, flows, columns, positive))
            attack_weight.append(np.full(len(positive), 1 / len(positive)))
            benign.append(margin(booster, flows, columns, negative))
            benign_weight.append(flows.weight[negative])
    attack_weight, benign_weight = np.concatenate(attack_weight), np.concatenate(benign_weight)
    return (
        np.concatenate(attacks), np.concatenate(benign),
        ATTACK_PRIOR * attack_weight / attack_weight.sum(),
        (1 - ATTACK_PRIOR) * benign_weight / benign_weight.sum(),
    )


def platt(attacks, benign, attack_weight, benign_weight) -> tuple[float, float]:
    """Scale and offset of the logistic through the margins (Platt 1999), by Newton's method."""
    z = np.concatenate([attacks, benign])
    y = np.concatenate([np.ones(len(attacks)), np.zeros(len(benign))])
    w = np.concatenate([attack_weight, benign_weight])
    design = np.stack([z, np.ones(len(z))], axis=1)
    beta = np.array([1.0, 0.0])
    for _ in range(50):
        p = 1 / (1 + np.exp(-design @ beta))
        gradient = design.T @ (w * (y - p))
        hessian = (design * (w * p * (1 - p))[:, None]).T @ design
        step = np.linalg.solve(hessian, gradient)
        beta = beta + step
        if np.abs(step).max() < 1e-10:
            break
    return float(np.float32(beta[0])), float(np.float32(beta[1]))


def score(calibration: tuple[float, float], margins: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-(calibration[0] * margins + calibration[1])))
