# example.py
@profile  # noqa: F821
def my_func():
    # a large list
    a = [1] * (1000 * 1000)

    # a second one
    b = [2] * (2000 * 1000)

    # without the first
    del a

    return b


if __name__ == "__main__":
    result = my_func()
