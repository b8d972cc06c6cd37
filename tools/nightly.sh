#!/usr/bin/env bash
# Does for longer what the gate does: a million damaged inputs for the readers of hosts; then the corpus and a million generated
# cases of each vendor on a real QEMU. Other ones every day; SEED=N runs those of a day again. Arguments go to `conform`.
set -euo pipefail
cd "$(dirname "$0")/.."

seed=${SEED:-$(date --utc +%Y%m%d)}
npm run --silent build
node --conditions=intremap-src --import tsx tools/fuzz-sources.ts 1000000 "$seed"
exec node packages/cli/bin/intremap.js conform --cases 1000000 --seed "$seed" "$@"
