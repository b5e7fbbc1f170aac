"""The pandas tutorial: read orders, add two columns; and what one does next with them."""

import io

import pandas as pd


def create_data(count):
    lines = ["OrderID,CustomerID,OrderAmount,OrderDate"]
    for i in range(count):
        lines.append(
            "%d,%d,%.2f,2023-%02d-%02d 10:%02d:00"
            % (i, 1000 + i * 7 % 4000, 10 + i * 37 % 990, 1 + i % 12, 1 + i % 28, i % 60)
        )
    return "\n".join(lines)


def load_data(text):
    return pd.read_csv(io.StringIO(text))


def process_data(df):
    df["DiscountedAmount"] = df["OrderAmount"] * 0.9
    df["OrderYear"] = pd.to_datetime(df["OrderDate"]).dt.year
    return df


text = create_data(20000)
frame = process_data(load_data(text))
by_customer = frame.groupby("CustomerID")["DiscountedAmount"].sum().sort_values()
rows = frame.head(2000).to_dict("records")
assert len(rows) == 2000 and (frame["OrderYear"] == 2023).all()
