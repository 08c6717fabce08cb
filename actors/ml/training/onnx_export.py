"""A LightGBM model as an ONNX graph: TreeEnsembleRegressor -> Mul -> Add -> Sigmoid, [n, 79] -> [n, 1]."""

import numpy as np
from onnx import TensorProto, checker, helper

from dataset import FEATURE_COUNT


def round_down(threshold: float) -> float:
    """Largest float32 not above it: for float32 x, x <= t and x <= round_down(t) are the same."""
    value = np.float32(threshold)
    return float(value if float(value) <= threshold else np.nextafter(value, np.float32(-np.inf)))


def _trees(booster, columns) -> dict:
    a = {k: [] for k in (
        "nodes_treeids", "nodes_nodeids", "nodes_featureids", "nodes_values", "nodes_modes",
        "nodes_truenodeids", "nodes_falsenodeids", "target_treeids", "target_nodeids",
        "target_ids", "target_weights",
    )}

    def add(tree, node, counter) -> int:
        own = counter[0]
        counter[0] += 1
        a["nodes_treeids"].append(tree)
        a["nodes_nodeids"].append(own)
        at = len(a["nodes_featureids"])
        leaf = "leaf_value" in node
        if not leaf and (node["decision_type"] != "<=" or node["missing_type"] != "None"):
            raise SystemExit("the exporter knows numerical splits without missing values only")
        a["nodes_featureids"].append(0 if leaf else int(columns[node["split_feature"]]))
        a["nodes_values"].append(0.0 if leaf else round_down(node["threshold"]))
        a["nodes_modes"].append("LEAF" if leaf else "BRANCH_LEQ")
        a["nodes_truenodeids"].append(0)
        a["nodes_falsenodeids"].append(0)
        if leaf:
            a["target_treeids"].append(tree)
            a["target_nodeids"].append(own)
            a["target_ids"].append(0)
            a["target_weights"].append(float(np.float32(node["leaf_value"])))
        else:
            a["nodes_truenodeids"][at] = add(tree, node["left_child"], counter)
            a["nodes_falsenodeids"][at] = add(tree, node["right_child"], counter)
        return own

    for tree in booster.dump_model()["tree_info"]:
        add(tree["tree_index"], tree["tree_structure"], [0])
    return a


def export(booster, columns, calibration, name: str) -> bytes:
    scalar = lambda key, value: helper.make_tensor(key, TensorProto.FLOAT, [1], [value])
    nodes = [
        helper.make_node(
            "TreeEnsembleRegressor", ["features"], ["margin"], domain="ai.onnx.ml", n_targets=1,
            post_transform="NONE", aggregate_function="SUM", **_trees(booster, columns)),
        helper.make_node("Mul", ["margin", "scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "offset"], ["logit"]),
        # Explicit: onnxruntime ignores post_transform LOGISTIC on a regressor with one target.
        helper.make_node("Sigmoid", ["logit"], ["score"]),
    ]
    graph = helper.make_graph(
        nodes, name,
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", FEATURE_COUNT])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n", 1])],
        [scalar("scale", calibration[0]), scalar("offset", calibration[1])],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="cybermesh")
    checker.check_model(model)
    return model.SerializeToString(deterministic=True)
