"""What the service remembers: jobs, media records, decisions and API keys, in one database."""
