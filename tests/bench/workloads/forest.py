"""scikit-learn: native code in two threads, after a long import."""

import numpy as np
from sklearn.ensemble import RandomForestClassifier

random = np.random.RandomState(0)
X = random.rand(6000, 20)
y = (X[:, 0] + X[:, 1] > 1).astype(int)
RandomForestClassifier(n_estimators=60, n_jobs=2, random_state=0).fit(X, y).predict(X)
