"""The paper's claims, the checks that decide them, and the verdicts."""
