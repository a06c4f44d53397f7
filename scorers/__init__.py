"""promptfront.scorers."""

if __name__ == "scorers":
    raise ImportError(
        "this folder is the package promptfront.scorers: "
        "run `pip install -e .` and import promptfront.scorers"
    )
