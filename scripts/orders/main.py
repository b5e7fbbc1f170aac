import memtrace
import pandas as pd


def load_data(file_path):
    print("Loading data...")
    df = pd.read_csv(file_path)
    return df


def process_data(df):
    print("Processing data...")
    df["DiscountedAmount"] = df["OrderAmount"] * 0.9  # Apply a 10% discount
    df["OrderYear"] = pd.to_datetime(df["OrderDate"]).dt.year  # Extract the order year
    return df


def main():
    df = load_data("order_data.csv")
    memtrace.snapshot("after_load.mtr")
    df = process_data(df)
    memtrace.snapshot("after_process.mtr")
    print(f"Current memory usage: {memtrace.current() / 1024 / 1024:.1f} MiB")
    print(f"Peak usage: {memtrace.peak() / 1024 / 1024:.1f} MiB")


if __name__ == "__main__":
    main()
