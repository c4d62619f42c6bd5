"""Great Expectations itself beside Headrace on the same generated tables: verdicts, counts and rows must agree."""
