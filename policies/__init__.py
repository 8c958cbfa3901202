"""The shipped policies, the lists they use (`lists/`), and the JSON Schema for editors (`schema.json`). Data only."""
