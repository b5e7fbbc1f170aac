"""Writes order_data.csv, 100,000 orders, into the current folder; the same ones every time."""

import os

import numpy as np
import pandas as pd

num_orders = 100000
random = np.random.RandomState(1)
data = {
    "OrderID": np.arange(1, num_orders + 1),
    "CustomerID": random.randint(1000, 5000, num_orders),
    "OrderAmount": random.uniform(10.0, 1000.0, num_orders).round(2),
    "OrderDate": pd.date_range(start="2023-01-01", periods=num_orders, freq="min"),
}

pd.DataFrame(data).to_csv("order_data.csv.new", index=False)
os.replace("order_data.csv.new", "order_data.csv")
