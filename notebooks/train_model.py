"""Train a classifier on scikit-learn's handwritten digits, epoch by epoch.

An ordinary training script: it takes flags, prints lines, ends with 0 or not. Run it by hand
(``python train_model.py --model mlp --epochs 20``) or let a worker run it. The one call that
makes its progress visible in the notebook is ``report(...)``.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import accuracy_score, hinge_loss, log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

try:
    from jupyter_aiqueue import report
except ImportError:
    # A training environment need not have the package. The protocol is one JSON object per
    # line, appended to the file that the worker names in AIQUEUE_REPORT.
    def report(progress: float | None = None, metrics: Mapping[str, Any] | None = None) -> None:
        """Append one line to the report, if a worker asked for one."""
        if path := os.environ.get("AIQUEUE_REPORT"):
            with Path(path).open("a") as file:
                file.write(json.dumps({"progress": progress, "metrics": metrics}) + "\n")


LEARNING_RATES = {"mlp": 0.003, "logistic": 0.01, "svm": 0.001}
BATCH = 64


def main() -> None:
    """Train as the flags say, and report loss and accuracy after every epoch."""
    flags = parse_flags()
    train_x, test_x, train_y, test_y = load_data(flags.data, flags.seed)
    classes = np.unique(train_y)
    rate = flags.lr or LEARNING_RATES[flags.model]
    model = build(flags.model, rate, flags.seed)
    print(f"{flags.model} on {flags.data}: {len(train_y)} samples, lr {rate:g}, seed {flags.seed}")

    rng = np.random.default_rng(flags.seed)
    best = 0.0
    for epoch in range(1, flags.epochs + 1):
        order = rng.permutation(len(train_y))
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            model.partial_fit(train_x[batch], train_y[batch], classes=classes)
        loss = loss_of(model, test_x, test_y)
        accuracy = float(accuracy_score(test_y, model.predict(test_x)))
        best = max(best, accuracy)
        # Unflushed lines would reach the log in blocks of 8 kB: not a pipe's, a person's, pace.
        print(
            f"epoch {epoch:3d}/{flags.epochs}  loss {loss:.4f}  accuracy {accuracy:.4f}", flush=True
        )
        report(
            progress=epoch / flags.epochs,
            metrics={"epoch": epoch, "loss": round(loss, 4), "accuracy": round(accuracy, 4)},
        )
    print(f"best accuracy {best:.4f}")


def parse_flags() -> argparse.Namespace:
    """The flags; a wrong one ends the program with status 2 and a line that says why."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=sorted(LEARNING_RATES), default="mlp")
    parser.add_argument("--data", choices=["digits"], default="digits")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--lr", type=float, help="learning rate; each model has its own default")
    parser.add_argument("--seed", type=int, default=0)
    flags = parser.parse_args()
    if flags.epochs < 1:
        parser.error("--epochs must be at least 1")
    if flags.lr is not None and flags.lr <= 0:
        parser.error("--lr must be above 0")
    return flags


def load_data(name: str, seed: int) -> tuple[Any, Any, Any, Any]:
    """Scaled training and test samples: a quarter is kept for the test."""
    x, y = {"digits": load_digits}[name](return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(x, y, random_state=seed, stratify=y)
    scaler = StandardScaler().fit(train_x)
    return scaler.transform(train_x), scaler.transform(test_x), train_y, test_y


def build(name: str, rate: float, seed: int) -> Any:
    """A classifier that learns batch by batch."""
    if name == "mlp":
        return MLPClassifier((64,), learning_rate_init=rate, random_state=seed)
    return SGDClassifier(
        loss="log_loss" if name == "logistic" else "hinge",
        learning_rate="constant",
        eta0=rate,
        random_state=seed,
    )


def loss_of(model: Any, x: Any, y: Any) -> float:
    """The loss on samples: log loss where the model knows probabilities, else hinge loss."""
    if hasattr(model, "predict_proba"):
        return float(log_loss(y, model.predict_proba(x), labels=model.classes_))
    return float(hinge_loss(y, model.decision_function(x)))


if __name__ == "__main__":
    main()
