"""pandas reads 100,000 orders and adds two columns; mostly the cost of importing pandas."""

import pandas as pd


def load_data(path):
    return pd.read_csv(path)


def process_data(df):
    df["DiscountedAmount"] = df["OrderAmount"] * 0.9
    df["OrderYear"] = pd.to_datetime(df["OrderDate"]).dt.year
    return df


process_data(load_data("order_data.csv"))
