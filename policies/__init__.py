"""The shipped policies, the lists they use (`lists/`), and the JSON Schema (`schema.json`). Data only."""
