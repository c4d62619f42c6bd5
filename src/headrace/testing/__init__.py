"""The contract suites that formats, stores and steps must pass, for this project's and for other packages' own."""
