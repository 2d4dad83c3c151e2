"""The reader's own norms, tasks and backends, and the digest of the source they depend on."""
