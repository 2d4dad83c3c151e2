"""The reader's own norms, tasks, data and backends, and the digest of their source."""
