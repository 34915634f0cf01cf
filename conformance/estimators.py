#!/usr/bin/env python3
"""Estimators of scikit-learn, XGBoost and LightGBM, converted to ONNX and run, beside their own predictions.

usage: estimators.py BINARY [--only TEXT] [--backend cpu,reference] [--page FILE]
Each estimator is fitted on data that scikit-learn brings along, converted by skl2onnx or onnxmltools, and run on rows that
it was not fitted on, by the binary and by ONNX Runtime. What the library itself predicts is the judge: labels are equal in
every row, numbers within 3e-4 of the largest (float32 features on both sides). Where a converter rounds thresholds or
parameters so that its own runtime differs from the library, the row says so and ONNX Runtime is the judge instead.
Needs more than setup.sh gives; without these packages it says which is missing and ends with 0:
  python3 -m venv V && V/bin/pip install scikit-learn skl2onnx onnxmltools xgboost lightgbm onnxruntime
`--page` puts the table between the marks of a page. Exit code 1 when a prediction differs.
"""
import argparse, os, re, subprocess, sys, tempfile, warnings

warnings.filterwarnings("ignore")
try:
    import numpy as np
    import lightgbm, onnxmltools, onnxruntime, skl2onnx, sklearn, xgboost
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(0)
from onnx import numpy_helper
from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm
from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost
from skl2onnx import convert_sklearn, update_registered_converter
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes, calculate_linear_regressor_output_shapes
from sklearn import (cluster, cross_decomposition, datasets, decomposition, discriminant_analysis, ensemble, feature_selection,
                     gaussian_process, linear_model, mixture, multiclass, naive_bayes, neighbors, neural_network, svm, tree)
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (Binarizer, KBinsDiscretizer, MaxAbsScaler, MinMaxScaler, Normalizer, OneHotEncoder,
                                   OrdinalEncoder, PolynomialFeatures, PowerTransformer, RobustScaler, StandardScaler)

for model, name, convert, shapes, options in [
    (lightgbm.LGBMClassifier, "LightGbmLGBMClassifier", convert_lightgbm, calculate_linear_classifier_output_shapes,
     {"nocl": [True, False], "zipmap": [True, False, "columns"]}),
    (lightgbm.LGBMRegressor, "LightGbmLGBMRegressor", convert_lightgbm, calculate_linear_regressor_output_shapes,
     {"split": None}),
    (xgboost.XGBClassifier, "XGBoostXGBClassifier", convert_xgboost, calculate_linear_classifier_output_shapes,
     {"nocl": [True, False], "zipmap": [True, False, "columns"]}),
    (xgboost.XGBRegressor, "XGBoostXGBRegressor", convert_xgboost, calculate_linear_regressor_output_shapes, {}),
    (xgboost.XGBRFClassifier, "XGBoostXGBRFClassifier", convert_xgboost, calculate_linear_classifier_output_shapes,
     {"nocl": [True, False], "zipmap": [True, False, "columns"]}),
]:
    update_registered_converter(model, name, shapes, convert, options=options)


def split(data):
    x, y = data(return_X_y=True)
    return train_test_split(x.astype(np.float32), y, test_size=0.3, random_state=0)


def texts():
    """Sentences about two subjects, and which: words of the descriptions that come with two data sets."""
    def sentences(data):
        words = re.findall(r"[a-z]{2,}", data().DESCR.lower())
        return [" ".join(words[i : i + 8]) for i in range(0, len(words) - 8, 4)]
    a, b = sentences(datasets.load_iris), sentences(datasets.load_diabetes)
    x = np.array(a + b, dtype=object)
    return train_test_split(x, np.array([0] * len(a) + [1] * len(b)), test_size=0.3, random_state=0)


def table():
    """Numbers with gaps and words, as tables have them."""
    x, y = datasets.load_wine(return_X_y=True)
    rng = np.random.default_rng(0)
    numbers = x[:, :4].astype(np.float32)
    numbers[rng.random(numbers.shape) < 0.1] = np.nan
    words = np.array(["low", "middle", "high"], dtype=object)[np.digitize(x[:, 9:11], [3.5, 5.5])]
    return train_test_split(np.concatenate([numbers.astype(object), words], axis=1), y, test_size=0.3, random_state=0)


IRIS, CANCER, DIABETES, DIGITS, WINE = (lambda d=d: split(d) for d in (
    datasets.load_iris, datasets.load_breast_cancer, datasets.load_diabetes, datasets.load_digits, datasets.load_wine))


def counts():
    a, b, y, z = DIGITS()
    return np.round(a), np.round(b), y, z


def holed():
    a, b, y, z = WINE()
    rng = np.random.default_rng(0)
    for x in (a, b):
        x[rng.random(x.shape) < 0.1] = np.nan
    return a, b, y, z


def mixed():
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    words = OneHotEncoder(handle_unknown="ignore")
    return make_pipeline(ColumnTransformer([("n", numbers, [0, 1, 2, 3]), ("w", words, [4, 5])]), linear_model.LogisticRegression())


def ordinal():
    steps = [("n", make_pipeline(SimpleImputer(), MinMaxScaler()), [0, 1, 2, 3]), ("w", OrdinalEncoder(), [4, 5])]
    return make_pipeline(ColumnTransformer(steps), ensemble.RandomForestClassifier(n_estimators=20, random_state=0))


# Kind, name, data, estimator.
R = dict(random_state=0)
CASES = [
    ("linear", "LinearRegression", DIABETES, linear_model.LinearRegression()),
    ("linear", "Ridge", DIABETES, linear_model.Ridge()),
    ("linear", "Lasso", DIABETES, linear_model.Lasso(0.1)),
    ("linear", "ElasticNet", DIABETES, linear_model.ElasticNet(0.01)),
    ("linear", "BayesianRidge", DIABETES, linear_model.BayesianRidge()),
    ("linear", "HuberRegressor", DIABETES, linear_model.HuberRegressor(max_iter=1000)),
    ("linear", "PoissonRegressor", DIABETES, linear_model.PoissonRegressor(alpha=1e-4, max_iter=1000)),
    ("linear", "PLSRegression", DIABETES, cross_decomposition.PLSRegression()),
    ("logistic", "LogisticRegression, 2 classes", CANCER, make_pipeline(StandardScaler(), linear_model.LogisticRegression())),
    ("logistic", "LogisticRegression, 3 classes", IRIS, linear_model.LogisticRegression(max_iter=500)),
    ("logistic", "SGDClassifier", IRIS, make_pipeline(StandardScaler(), linear_model.SGDClassifier(loss="log_loss", **R))),
    ("logistic", "Perceptron", CANCER, make_pipeline(StandardScaler(), linear_model.Perceptron(**R))),
    ("SVC", "SVC, rbf, probabilities", IRIS, svm.SVC(probability=True, **R)),
    ("SVC", "SVC, rbf, 2 classes", CANCER, make_pipeline(StandardScaler(), svm.SVC())),
    ("SVC", "SVC, polynomial", WINE, make_pipeline(StandardScaler(), svm.SVC(kernel="poly", coef0=1.0))),
    ("SVC", "SVC, linear", IRIS, svm.SVC(kernel="linear")),
    ("SVC", "SVC, sigmoid", IRIS, make_pipeline(StandardScaler(), svm.SVC(kernel="sigmoid"))),
    ("SVC", "NuSVC", WINE, make_pipeline(StandardScaler(), svm.NuSVC(nu=0.2))),
    ("SVC", "LinearSVC", WINE, make_pipeline(StandardScaler(), svm.LinearSVC(**R))),
    ("SVR", "SVR, rbf", DIABETES, svm.SVR(C=100)),
    ("SVR", "NuSVR, polynomial", DIABETES, svm.NuSVR(kernel="poly", degree=2, C=10)),
    ("SVR", "LinearSVR", DIABETES, svm.LinearSVR(C=10, max_iter=20000, **R)),
    ("one class", "OneClassSVM", WINE, make_pipeline(StandardScaler(), svm.OneClassSVM(nu=0.2))),
    ("one class", "IsolationForest", WINE, ensemble.IsolationForest(n_estimators=20, **R)),
    ("one class", "LocalOutlierFactor", IRIS, neighbors.LocalOutlierFactor(novelty=True)),
    ("tree", "DecisionTreeClassifier", WINE, tree.DecisionTreeClassifier(**R)),
    ("tree", "DecisionTreeRegressor", DIABETES, tree.DecisionTreeRegressor(max_depth=6, **R)),
    ("tree", "ExtraTreeClassifier", IRIS, tree.ExtraTreeClassifier(**R)),
    ("forest", "RandomForestClassifier", DIGITS, ensemble.RandomForestClassifier(n_estimators=30, **R)),
    ("forest", "RandomForestRegressor", DIABETES, ensemble.RandomForestRegressor(n_estimators=30, **R)),
    ("forest", "ExtraTreesClassifier", WINE, ensemble.ExtraTreesClassifier(n_estimators=30, **R)),
    ("forest", "ExtraTreesRegressor", DIABETES, ensemble.ExtraTreesRegressor(n_estimators=30, **R)),
    ("boosting", "GradientBoostingClassifier, 2 classes", CANCER, ensemble.GradientBoostingClassifier(n_estimators=30, **R)),
    ("boosting", "GradientBoostingClassifier, 3 classes", IRIS, ensemble.GradientBoostingClassifier(n_estimators=30, **R)),
    ("boosting", "GradientBoostingRegressor", DIABETES, ensemble.GradientBoostingRegressor(n_estimators=50, **R)),
    ("boosting", "AdaBoostClassifier", WINE, ensemble.AdaBoostClassifier(n_estimators=20, **R)),
    ("boosting", "AdaBoostRegressor", DIABETES, ensemble.AdaBoostRegressor(n_estimators=20, **R)),
    ("ensemble", "BaggingClassifier", WINE, ensemble.BaggingClassifier(tree.DecisionTreeClassifier(**R), 10, **R)),
    ("ensemble", "VotingClassifier", IRIS, ensemble.VotingClassifier(
        [("a", linear_model.LogisticRegression(max_iter=500)), ("b", naive_bayes.GaussianNB())], voting="soft", flatten_transform=False)),
    ("ensemble", "StackingRegressor", DIABETES, ensemble.StackingRegressor(
        [("a", linear_model.Ridge()), ("b", tree.DecisionTreeRegressor(max_depth=4, **R))])),
    ("ensemble", "OneVsRestClassifier", IRIS, multiclass.OneVsRestClassifier(linear_model.LogisticRegression())),
    ("neighbours", "KNeighborsClassifier", IRIS, neighbors.KNeighborsClassifier()),
    ("neighbours", "KNeighborsClassifier, by distance", WINE, make_pipeline(
        StandardScaler(), neighbors.KNeighborsClassifier(weights="distance"))),
    ("neighbours", "KNeighborsRegressor", DIABETES, neighbors.KNeighborsRegressor()),
    ("Bayes", "GaussianNB", WINE, make_pipeline(StandardScaler(), naive_bayes.GaussianNB())),
    ("Bayes", "MultinomialNB", counts, naive_bayes.MultinomialNB()),
    ("Bayes", "ComplementNB", counts, naive_bayes.ComplementNB()),
    ("Bayes", "BernoulliNB", counts, naive_bayes.BernoulliNB(binarize=4.0)),
    ("network", "MLPClassifier", DIGITS, make_pipeline(MinMaxScaler(), neural_network.MLPClassifier(hidden_layer_sizes=(32,), max_iter=60, **R))),
    ("network", "MLPRegressor", DIABETES, make_pipeline(
        StandardScaler(), neural_network.MLPRegressor(hidden_layer_sizes=(32,), activation="tanh", max_iter=300, **R))),
    ("discriminant", "LinearDiscriminantAnalysis", WINE, discriminant_analysis.LinearDiscriminantAnalysis()),
    ("discriminant", "QuadraticDiscriminantAnalysis", IRIS, discriminant_analysis.QuadraticDiscriminantAnalysis()),
    ("process", "GaussianProcessRegressor", DIABETES, gaussian_process.GaussianProcessRegressor(
        gaussian_process.kernels.RBF(0.5), alpha=1.0)),
    ("clusters", "KMeans", IRIS, cluster.KMeans(3, n_init=3, **R)),
    ("clusters", "GaussianMixture", IRIS, mixture.GaussianMixture(3, **R)),
    ("pipeline", "PCA, then LogisticRegression", CANCER, make_pipeline(
        StandardScaler(), decomposition.PCA(5), linear_model.LogisticRegression())),
    ("pipeline", "robust scaler and best features, then SVC", CANCER, make_pipeline(
        RobustScaler(), feature_selection.SelectKBest(k=8), svm.SVC(probability=True, **R))),
    ("pipeline", "polynomial features, then Ridge", DIABETES, make_pipeline(
        MaxAbsScaler(), PolynomialFeatures(2), linear_model.Ridge(1.0))),
    ("pipeline", "bins, then naive Bayes", WINE, make_pipeline(
        KBinsDiscretizer(4, encode="onehot-dense"), naive_bayes.BernoulliNB())),
    ("pipeline", "imputer of neighbours, then a forest", holed, make_pipeline(
        KNNImputer(), ensemble.RandomForestClassifier(n_estimators=20, **R))),
    ("pipeline", "power transform and norm, then LogisticRegression", IRIS, make_pipeline(
        PowerTransformer(), Normalizer(), linear_model.LogisticRegression())),
    ("pipeline", "binarizer, then a tree", DIGITS, make_pipeline(Binarizer(threshold=8.0), tree.DecisionTreeClassifier(**R))),
    ("columns", "imputer, scaler and one-hot encoder", table, mixed()),
    ("columns", "imputer, scaler and ordinal encoder", table, ordinal()),
    ("text", "counts of words, then naive Bayes", texts, make_pipeline(CountVectorizer(lowercase=False), naive_bayes.MultinomialNB())),
    ("text", "tf-idf of words and pairs, then LogisticRegression", texts, make_pipeline(
        TfidfVectorizer(lowercase=False, ngram_range=(1, 2)), linear_model.LogisticRegression())),
    ("XGBoost", "XGBClassifier, 2 classes", CANCER, xgboost.XGBClassifier(n_estimators=30, **R)),
    ("XGBoost", "XGBClassifier, 3 classes, gaps", holed, xgboost.XGBClassifier(n_estimators=30, **R)),
    ("XGBoost", "XGBRegressor", DIABETES, xgboost.XGBRegressor(n_estimators=50, **R)),
    ("XGBoost", "XGBRFClassifier", IRIS, xgboost.XGBRFClassifier(n_estimators=20, **R)),
    ("XGBoost", "scaler, then XGBClassifier", IRIS, make_pipeline(StandardScaler(), xgboost.XGBClassifier(n_estimators=20, **R))),
    ("LightGBM", "LGBMClassifier, 2 classes", CANCER, lightgbm.LGBMClassifier(n_estimators=30, verbose=-1, **R)),
    ("LightGBM", "LGBMClassifier, 3 classes, gaps", holed, lightgbm.LGBMClassifier(n_estimators=30, verbose=-1, **R)),
    ("LightGBM", "LGBMRegressor", DIABETES, lightgbm.LGBMRegressor(n_estimators=50, verbose=-1, **R)),
]


def types(x):
    """Inputs of the model for these features, and the features by input."""
    if x.dtype != object:
        return [("X", FloatTensorType([None, x.shape[1]]))], {"X": x.astype(np.float32)}
    if x.ndim == 1:
        return [("X", StringTensorType([None, 1]))], {"X": x.reshape(-1, 1)}
    is_text = [isinstance(v, str) for v in x[0]]
    names = [f"c{i}" for i in range(x.shape[1])]
    kinds = [StringTensorType([None, 1]) if t else FloatTensorType([None, 1]) for t in is_text]
    columns = [x[:, [i]] if t else x[:, [i]].astype(np.float32) for i, t in enumerate(is_text)]
    return list(zip(names, kinds)), dict(zip(names, columns))


def converted(model, inputs):
    final = model.steps[-1][1] if hasattr(model, "steps") else model
    # LinearSVC gives labels and scores as tensors and refuses the option, which is also what is set where none is named.
    options = {id(final): {} if isinstance(final, svm.LinearSVC) else {"zipmap": False}} if hasattr(final, "classes_") else None
    return convert_sklearn(model, initial_types=inputs, target_opset={"": 18, "ai.onnx.ml": 3}, options=options)


def predictions(model, x, results):
    """What the library predicts, in the order of the model's results as far as they can be told apart."""
    own = [np.asarray(model.predict(x))]
    for name in ("predict_proba", "decision_function", "score_samples", "transform"):
        try:
            own.append(np.asarray(getattr(model, name)(x)))
        except Exception:
            continue
    return own


def compared(got, wanted):
    """None when equal, else by how much they differ."""
    got, wanted = np.asarray(got), np.asarray(wanted)
    if got.size != wanted.size:
        return "another size"
    got, wanted = got.ravel(), wanted.ravel()
    if got.dtype.kind in "fc" and wanted.dtype.kind in "fciu":
        scale = max(np.abs(wanted).max(initial=0), 1e-6)
        off = np.abs(got.astype(float) - wanted.astype(float)).max(initial=0) / scale
        return None if off <= 3e-4 else f"{off:.1e} of the largest"
    wrong = int((got.astype(str) != wanted.astype(str)).sum())
    return None if wrong == 0 else f"{wrong} of {got.size} labels"


def agreement(results, own):
    """Per result, against that of the library's predictions which is nearest; those of no counterpart are left out."""
    found, counted = None, 0
    first = compared(results[0], own[0])
    if first:
        return first, 0
    counted = 1
    for r in results[1:]:
        whys = [compared(r, o) for o in own[1:] if np.asarray(o).size == np.asarray(r).size]
        # Of two classes some converters give the score of the second only, or both signs.
        whys += [compared(np.asarray(r)[:, k], o) for o in own[1:] for k in (0, -1) if np.ndim(r) == 2 and np.size(o) == len(r)]
        if whys and all(whys):
            return min(whys, key=lambda w: float(w.split()[0]) if "largest" in w else 9e9), counted
        counted += bool(whys)
    return found, counted


def run(binary, backend, folder, path, feed):
    """The binary's results in the model's order, or why there are none."""
    out = os.path.join(folder, backend)
    command = [binary, "run", path, "--backend", backend, "--output-dir", out, "--quiet"]
    for name, x in feed.items():
        file = os.path.join(folder, f"{name}.pb")
        open(file, "wb").write(numpy_helper.from_array(x, name).SerializeToString())
        command += ["--input", f"{name}={file}"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return None, (done.stderr.strip().splitlines() or ["no message"])[-1][:100]
    names = [o.name for o in onnxruntime.InferenceSession(path).get_outputs()]
    return [np.load(os.path.join(out, f"{n}.npy"), allow_pickle=False) for n in names], None


def labels(results, own):
    """How many of the labels are those of the library, of how many; nothing where it predicts numbers."""
    got, wanted = np.asarray(results[0]).ravel(), np.asarray(own[0]).ravel()
    if got.dtype.kind == "f" or got.size != wanted.size:
        return "-"
    return f"{int((got.astype(str) == wanted.astype(str)).sum())} of {wanted.size}"


def largest(results, others):
    """The largest difference between numbers of two lists of results that have a counterpart, as text."""
    found = []
    for r in map(np.asarray, results):
        near = [np.asarray(o) for o in others]
        near += [np.stack([-o, o], 1) for o in near if o.ndim == 1 and o.dtype.kind == "f"]
        pairs = [(r, o) for o in near if o.size == r.size and r.dtype.kind == o.dtype.kind == "f"]
        pairs += [(r[:, k], o) for o in near for k in (0, -1) if r.ndim == 2 and r.dtype.kind == o.dtype.kind == "f" and o.size == len(r) != r.size]
        offs = [np.nanmax(np.abs(r.ravel().astype(float) - o.ravel().astype(float)), initial=0) for r, o in pairs]
        found += [min(offs)] if offs else []
    return f"{max(found):.1e}" if found else "-"


def judge(binary, backends, name, data, model):
    """(verdict, columns, note)"""
    train, test, y, _ = data()
    model.fit(train, y)
    inputs, feed = types(test)
    try:
        onnx_model = converted(model, inputs)
    except Exception as error:
        return "not converted", ["-"] * 5, (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
    onnxruntime.set_default_logger_severity(3)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.onnx")
        open(path, "wb").write(onnx_model.SerializeToString())
        columns = [str(len(test)), f"{os.path.getsize(path):,}", "-", "-", "-"]
        peer = onnxruntime.InferenceSession(path).run(None, feed)
        own = predictions(model, test, peer)
        faithful, _ = agreement(peer, own)
        for backend in backends:
            got, why = run(binary, backend, folder, path, feed)
            if got is None:
                return "fails", columns, f"{backend}: {why}"
            columns[2:] = [labels(got, own), largest(got, own), largest(got, peer)]
            why, counted = agreement(got, own)
            if why:
                beside = [compared(g, p) for g, p in zip(got, peer)]
                if faithful and not any(beside):
                    return "equal to ONNX Runtime", columns, f"the converted model is off in both: {faithful}"
                return "differs", columns, f"{backend}: {why}"
    return "equal", columns, ""


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("binary"); ap.add_argument("--only", default=""); ap.add_argument("--page")
    ap.add_argument("--backend", default="cpu,reference")
    args = ap.parse_args()
    rows, bad = ["| Kind | Estimator | Rows | Model, bytes | Labels equal | Numbers, to itself | to ONNX Runtime | Verdict |",
                 "|---|---|---:|---:|---:|---:|---:|---|"], 0
    kinds = set()
    for kind, name, data, model in CASES:
        if args.only.lower() not in f"{kind} {name}".lower():
            continue
        verdict, columns, note = judge(args.binary, args.backend.split(","), name, data, model)
        bad += verdict in ("differs", "fails")
        kinds.add(kind)
        print(f"{kind:14}{name:44}{' '.join(c.rjust(11) for c in columns)}  {verdict} {note}", flush=True)
        rows.append(f"| {kind} | {name} | {' | '.join(columns)} | {verdict}{': ' + note if note else ''} |")
    print(f"{len(rows) - 2} estimators of {len(kinds)} kinds, {bad} differ")
    if args.page:
        text = open(args.page).read()
        table = "\n".join(rows)
        text = re.sub(r"(<!-- table -->\n).*?(\n<!-- end -->)", lambda m: m[1] + table + m[2], text, flags=re.S)
        open(args.page, "w").write(text)
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
