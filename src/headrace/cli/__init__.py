"""The command line: what it says and asks. What it does is done by the layers below."""
