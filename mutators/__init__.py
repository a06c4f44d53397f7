"""promptfront.mutators."""

if __name__ == "mutators":
    raise ImportError(
        "this folder is the package promptfront.mutators: "
        "run `pip install -e .` and import promptfront.mutators"
    )
