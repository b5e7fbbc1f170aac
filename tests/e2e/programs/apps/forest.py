"""scikit-learn: a random forest fitted by two threads."""

import numpy as np
from sklearn.ensemble import RandomForestClassifier

random = np.random.RandomState(0)
X = random.rand(1500, 12)
y = (X[:, 0] + X[:, 1] > 1).astype(int)
model = RandomForestClassifier(n_estimators=20, n_jobs=2, random_state=0).fit(X, y)
predictions = model.predict(X)
assert (predictions == y).mean() > 0.9
