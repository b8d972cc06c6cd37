#!/usr/bin/env bash
# Holds the model against a real QEMU for longer than the gate does: the corpus and a million generated cases of each
# vendor, other ones every day. Arguments go to `conform`; SEED=N runs the cases of a day again.
set -euo pipefail
cd "$(dirname "$0")/.."

npm run --silent build
exec node packages/cli/bin/intremap.js conform --cases 1000000 --seed "${SEED:-$(date --utc +%Y%m%d)}" "$@"
