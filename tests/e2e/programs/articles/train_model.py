import numpy as np
from memory_profiler import profile
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier


@profile
def train_model_with_monitoring():
    """Memory of a model's training"""
    print("Data is made...")
    X, y = make_classification(
        n_samples=10000,
        n_features=20,
        n_informative=15,
        n_redundant=5,
        random_state=42,
    )

    print("The model is made...")
    model = RandomForestClassifier(
        n_estimators=5,
        max_depth=10,
        random_state=42,
    )

    print("Training...")
    model.fit(X, y)

    print("Prediction...")
    predictions = model.predict(X)

    print("Accuracy...")
    accuracy = np.mean(predictions == y)

    print(f"Accuracy of the model: {accuracy:.4f}")

    return model, accuracy


if __name__ == "__main__":
    model, acc = train_model_with_monitoring()
