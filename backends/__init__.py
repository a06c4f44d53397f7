"""promptfront.backends."""

if __name__ == "backends":
    raise ImportError(
        "this folder is the package promptfront.backends: run `pip install -e .` "
        "and import promptfront.backends"
    )
