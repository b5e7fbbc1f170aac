import numpy as np
import pandas as pd
from memory_profiler import profile


@profile
def inefficient_data_processing():
    """Takes more memory than it needs"""
    # a large DataFrame
    df = pd.DataFrame(
        {
            "A": np.random.randn(1000000),
            "B": np.random.randn(1000000),
            "C": np.random.randn(1000000),
        }
    )

    # copies that nobody needs
    df_copy1 = df.copy()
    df_copy2 = df.copy()
    df_copy3 = df.copy()

    # compute
    result = df_copy1["A"] + df_copy2["B"] + df_copy3["C"]

    return result


@profile
def efficient_data_processing():
    """Takes what it needs"""
    # a large DataFrame
    df = pd.DataFrame(
        {
            "A": np.random.randn(1000000),
            "B": np.random.randn(1000000),
            "C": np.random.randn(1000000),
        }
    )

    # on the DataFrame itself, without copies
    result = df["A"] + df["B"] + df["C"]

    return result


if __name__ == "__main__":
    print("=== With copies ===")
    result1 = inefficient_data_processing()

    print("\n=== Without copies ===")
    result2 = efficient_data_processing()
