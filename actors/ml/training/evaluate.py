"""What the model does to attacks and days that it has not seen. Every figure here goes into the model card."""

import numpy as np

from dataset import ALWAYS_MASKED, BENIGN, CLASSES, DAYS, HEADERS, WINDOWS, Flows
from model import (
    UNTUNED, class_weights, fit, left_out_margins, margin, platt, score, training_rows,
)

CUT = 0.70
LONE_CUT = 0.90
ATTACK_DAY = "wed"
MASKS = {
    "windows and headers out": (*ALWAYS_MASKED, *WINDOWS, *HEADERS),
    "windows out": (*ALWAYS_MASKED, *WINDOWS),
    "headers out": (*ALWAYS_MASKED, *HEADERS),
    "both kept": ALWAYS_MASKED,
}


def rate(hits: int, of: int) -> dict:
    """A share with its 95 % Wilson interval."""
    z, p = 1.959964, hits / of if of else 0.0
    if of == 0:
        return dict(rate=None, low=None, high=None, hits=0, of=0)
    centre, spread = p + z * z / (2 * of), z * np.sqrt(p * (1 - p) / of + z * z / (4 * of * of))
    low, high = (centre - spread) / (1 + z * z / of), (centre + spread) / (1 + z * z / of)
    rounded = lambda v: round(float(v), 5)
    return dict(rate=rounded(p), low=rounded(max(low, 0)), high=rounded(high), hits=int(hits), of=int(of))


def above(scores: np.ndarray, cut: float) -> dict:
    return rate(int((scores > cut).sum()), len(scores))


def left_out_model(flows: Flows, columns, seed, classes=(), days=()):
    """A model and its calibration, neither of which saw those classes and days."""
    rows = training_rows(flows, classes, days)
    booster = fit(flows, columns, rows, seed)
    return booster, platt(*left_out_margins(flows, columns, seed, classes, days)), rows


def scores_of(flows: Flows, columns, fitted, rows) -> np.ndarray:
    booster, calibration = fitted[0], fitted[1]
    return score(calibration, margin(booster, flows, columns, rows))


def leave_one_attack_out(flows: Flows, columns, seed) -> tuple[list, dict]:
    """
    Class by class: the class and the benign flows of a day unseen, that day being Wednesday for what is
    counted as the class's own result and each day in turn for the pooled false-positive rate.
    """
    table, fitted = [], {}
    for name in CLASSES:
        benign = {}
        for day in DAYS:
            model = left_out_model(flows, columns, seed, (name,), (day,))
            benign[day] = scores_of(flows, columns, model, flows.where(BENIGN, day))
            if day == ATTACK_DAY:
                fitted[name] = model
                attack = scores_of(flows, columns, model, flows.where(name))
        pooled, own = np.concatenate(list(benign.values())), benign[ATTACK_DAY]
        everyone = int((flows.label == BENIGN).sum())
        wednesday = flows.weight[flows.where(BENIGN, ATTACK_DAY)]
        true_weight = flows.weight[flows.where(name)][attack > CUT].sum()
        false_weight = wednesday[own > CUT].sum()
        precision = (attack > CUT).sum() / max(1, (attack > CUT).sum() + (own > CUT).sum())
        recall = (attack > CUT).mean()
        table.append(dict(
            held_out=name, tpr=above(attack, CUT), tpr_lone=above(attack, LONE_CUT),
            fpr_scored=above(pooled, CUT), fpr_scored_lone=above(pooled, LONE_CUT),
            fpr_all=rate(int((pooled > CUT).sum()), everyone),
            fpr_wednesday=above(own, CUT),
            abstain_attack=rate(int(((flows.label == name) & ~flows.scored).sum()),
                                int((flows.label == name).sum())),
            fpr_at_recall={str(r): above(pooled, float(np.quantile(attack, 1 - r)) - 1e-12)
                           for r in (0.90, 0.95, 0.99)},
            weighted_precision=round(float(true_weight / max(1e-9, true_weight + false_weight)), 4),
            f1=round(float(2 * precision * recall / max(1e-9, precision + recall)), 4),
        ))
    return table, fitted


def leave_one_day_out(flows: Flows, columns, seed) -> list:
    """
    Benign flows, and the attacks that are no DoS, of a day that training and calibration never saw. All DoS is
    of Wednesday: without that day there is no model, so its attacks stay and only its benign flows go.
    """
    table = []
    for day in DAYS:
        model = left_out_model(flows, columns, seed, (), (day,))
        others = sorted(set(flows.label[flows.day == day]) - {BENIGN, *CLASSES})
        table.append(dict(
            day=day,
            fpr=above(scores_of(flows, columns, model, flows.where(BENIGN, day)), CUT),
            fpr_lone=above(scores_of(flows, columns, model, flows.where(BENIGN, day)), LONE_CUT),
            other_attacks={o: above(scores_of(flows, columns, model, flows.where(o, day)), CUT)
                           for o in others},
        ))
    return table


def ablation(flows: Flows, seed) -> list:
    table = []
    for title, masked in MASKS.items():
        columns = flows.columns(masked)
        for name in CLASSES:
            model = left_out_model(flows, columns, seed, (name,), (ATTACK_DAY,))
            table.append(dict(
                mask=title, held_out=name,
                tpr=above(scores_of(flows, columns, model, flows.where(name)), CUT),
                fpr_wednesday=above(
                    scores_of(flows, columns, model, flows.where(BENIGN, ATTACK_DAY)), CUT),
            ))
    return table


def fingerprints(flows: Flows) -> list:
    """The commonest value of each suspicious feature: how far it names the attacker's machine."""
    table = []
    for name in ("init_fwd_win_byts", "fwd_seg_size_min"):
        column = flows.x[:, flows.names.index(name)]
        for label in (*CLASSES, "FTP-Patator", "SSH-Patator", BENIGN):
            values, counts = np.unique(column[flows.where(label)], return_counts=True)
            top = int(np.argmax(counts))
            table.append(dict(feature=name, label=label, value=float(values[top]),
                              share=round(float(counts[top] / counts.sum()), 3)))
    return table


def baselines(flows: Flows, columns, seed) -> list:
    """Leave-one-attack-out of an untuned, uncalibrated LightGBM and of the best single threshold."""
    table = []
    for name in CLASSES:
        rows = training_rows(flows, (name,), (ATTACK_DAY,))
        attack, benign = flows.where(name), flows.where(BENIGN, ATTACK_DAY)
        plain = fit(flows, columns, rows, seed, UNTUNED, 100, weighted=False)
        raw = lambda r: score((1.0, 0.0), margin(plain, flows, columns, r))
        feature, cut, sign = stump(flows, columns, rows)
        hit = lambda r: rate(int((sign * flows.x[r, feature] > sign * cut).sum()), len(r))
        table.append(dict(
            held_out=name, untuned_tpr=above(raw(attack), CUT), untuned_fpr=above(raw(benign), CUT),
            stump=f"{flows.names[feature]} {'>' if sign > 0 else '<'} {cut:.6g}",
            stump_tpr=hit(attack), stump_fpr=hit(benign),
        ))
    return table


def stump(flows: Flows, columns, rows) -> tuple[int, float, int]:
    """The one feature, cut and direction with the best balanced accuracy on the training rows."""
    y, w = np.isin(flows.label[rows], CLASSES), class_weights(flows, rows)
    best = (-1.0, 0, 0.0, 1)
    for feature in columns:
        value = flows.x[rows, feature]
        for cut in np.unique(np.quantile(value, np.linspace(0.01, 0.99, 99))):
            for sign in (1, -1):
                hit = sign * value > sign * cut
                quality = float(w[hit & y].sum() / w[y].sum() - w[hit & ~y].sum() / w[~y].sum())
                if quality > best[0]:
                    best = (quality, int(feature), float(cut), sign)
    return best[1:]


def random_split(flows: Flows, columns, seed) -> dict:
    """Upper bound only: the test rows come from the same attacks, minutes and machines."""
    rows = training_rows(flows)
    test = np.random.default_rng(seed).random(len(rows)) < 0.2
    booster = fit(flows, columns, rows[~test], seed)
    s, y = score((1.0, 0.0), margin(booster, flows, columns, rows[test])), flows.label[rows[test]]
    return dict(tpr=above(s[y != BENIGN], CUT), fpr=above(s[y == BENIGN], CUT))
