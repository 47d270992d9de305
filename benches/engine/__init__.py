"""Measures the engine by count and by clock; `scripts/bench.sh` starts it, `benches/README.md` says what and how."""
