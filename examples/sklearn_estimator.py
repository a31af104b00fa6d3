"""A network as a scikit-learn classifier, for pipelines, cross-validation and the search for hyperparameters.

    python examples/sklearn_estimator.py
    python examples/sklearn_estimator.py --device cuda

Copy the class and write your own network into `build`. The program chooses between four networks by cross-validation,
prints the accuracy of the best on 360 scans that had no part in the choice, 98.6%, and draws what is taken for what.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_digits
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from tqdm import tqdm

import tensorgrad as tg
from tensorgrad import nn


class NetworkClassifier(ClassifierMixin, BaseEstimator):
    """A fully connected network, trained with AdamW on the cross-entropy.

    What scikit-learn asks of an estimator: the constructor only stores its arguments, under their names; what `fit`
    learns ends in an underscore. `get_params`, `set_params` and `score` come from the base classes.
    """

    def __init__(
        self,
        hidden: tuple[int, ...] = (64,),
        epochs: int = 40,
        batch_size: int = 32,
        lr: float = 3e-3,
        weight_decay: float = 0.01,
        device: str = "cpu",
        verbose: bool = False,
        random_state: Any = None,
    ) -> None:
        self.hidden = hidden
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.device = device
        self.verbose = verbose
        self.random_state = random_state

    def build(self, features: int, classes: int) -> nn.Module:
        """The network: from (batch, features) to logits (batch, classes)."""
        sizes = (features, *self.hidden)
        layers: list[nn.Module] = []
        for before, after in zip(sizes, self.hidden, strict=False):
            layers += [nn.Linear(before, after), nn.ReLU()]
        return nn.Sequential(*layers, nn.Linear(sizes[-1], classes))

    def fit(self, X: Any, y: Any) -> NetworkClassifier:
        X, y = validate_data(self, X, y, dtype=(np.float64, np.float32))  # the network takes the dtype of the data
        check_classification_targets(y)
        self.classes_, indices = np.unique(y, return_inverse=True)  # labels can be anything, strings for example
        dataset = tg.data.TensorDataset(
            tg.tensor(X, device=self.device), tg.tensor(indices, dtype=tg.int64, device=self.device)
        )
        seed = int(check_random_state(self.random_state).randint(2**31))
        with tg.random.fork_rng() as generator:  # the random numbers of the program around us go on undisturbed
            generator.manual_seed(seed)
            self.network_ = self.build(X.shape[1], len(self.classes_)).to(X.dtype).to(self.device)
            loader = tg.data.DataLoader(dataset, self.batch_size, shuffle=True)
            optimizer = tg.optim.AdamW(self.network_.parameters(), lr=self.lr, weight_decay=self.weight_decay)
            self.loss_curve_: list[float] = []
            with tqdm(range(self.epochs), desc="training", disable=not self.verbose) as bar:
                for _ in bar:
                    losses = []
                    for x, target in loader:
                        loss = nn.functional.cross_entropy(self.network_(x), target)
                        optimizer.zero_grad()
                        loss.backward()
                        optimizer.step()
                        losses.append(loss.detach())
                    self.loss_curve_.append(tg.stack(losses).mean().item())
                    bar.set_postfix(loss=f"{self.loss_curve_[-1]:.4f}")
        self.network_.eval()
        return self

    def predict_proba(self, X: Any) -> Any:
        check_is_fitted(self)
        weight = next(self.network_.parameters())
        X = validate_data(self, X, reset=False, dtype=(np.float64, np.float32))
        with tg.no_grad():
            logits = self.network_(tg.tensor(X, dtype=weight.dtype, device=weight.device))
            return tg.softmax(logits, axis=1).cpu().numpy()

    def predict(self, X: Any) -> Any:
        probabilities = self.predict_proba(X)  # first: it checks that there is something to predict with
        return self.classes_[probabilities.argmax(axis=1)]


def main(argv: list[str] | None = None) -> float:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--folds", type=int, default=5, help="of the cross-validation")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", default="sklearn_estimator.png", help="where to draw the loss and the mistakes")
    args = parser.parse_args(argv)

    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=360, random_state=0, stratify=y)

    network = NetworkClassifier(epochs=args.epochs, device=args.device, random_state=args.seed)
    pipeline = make_pipeline(StandardScaler(), network)
    scores = cross_val_score(pipeline, X_train, y_train, cv=args.folds)
    print(f"as it is, by cross-validation: {scores.mean():.2%} +- {scores.std():.2%}")

    grid = {"networkclassifier__hidden": [(64,), (256,)], "networkclassifier__weight_decay": [0.01, 0.3]}
    search = GridSearchCV(pipeline, grid, cv=args.folds, verbose=2).fit(X_train, y_train)
    print(f"the best of the grid:          {search.best_score_:.2%} with {search.best_params_}")

    best = search.best_estimator_.set_params(networkclassifier__verbose=True).fit(X_train, y_train)
    accuracy = float(best.score(X_test, y_test))
    print(f"test accuracy: {accuracy:.2%}")

    figure = Figure(figsize=(8, 3.6), dpi=150, layout="constrained")
    left, right = figure.subplots(1, 2)
    left.semilogy(best[-1].loss_curve_)
    left.set(xlabel="epoch", ylabel="training loss")
    left.grid(alpha=0.25)
    counts = confusion_matrix(y_test, best.predict(X_test))
    right.imshow(np.log1p(counts), cmap="Blues")
    for (row, column), count in np.ndenumerate(counts):
        if count:
            right.text(column, row, count, ha="center", va="center", color="white" if row == column else "black")
    right.set(xlabel="read as", ylabel="digit", xticks=range(10), yticks=range(10))
    figure.savefig(args.output)
    print(f"the loss, and what is taken for what: {args.output}")
    return accuracy


if __name__ == "__main__":
    main()
