#!/bin/sh
# Usage: spec/machines/fuzz.sh SECONDS FUZZER...     (by `make fuzz`)
#
# Runs libFuzzer's programs for SECONDS seconds each, one after the other, from
# the seeds in build/c/seeds and what an earlier run has found. An input that
# fails is kept beside the fuzzer.
set -u

seconds=$1
shift
cd "$(dirname "$0")/../.." || exit 2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
passed=0 failed=0 runs=0

for fuzzer in "$@"; do
    name=${fuzzer##*/fuzz_}
    mkdir -p "$fuzzer.corpus"
    "$fuzzer" -max_total_time="$seconds" -artifact_prefix="$fuzzer." \
        -dict="spec/c/seeds/$name.dict" -timeout=10 -rss_limit_mb=1024 \
        "$fuzzer.corpus" "build/c/seeds/$name" >"$log" 2>&1
    rc=$?
    n=$(awk '/^Done [0-9]+ runs/ { print $2 }' "$log")
    if [ "$rc" -eq 0 ] && [ "${n:-0}" -gt 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        tail -n 60 "$log"
    fi
    runs=$((runs + ${n:-0}))
    echo "$name: ${n:-?} runs, exit status $rc"
done
echo "$runs runs; $passed passed, $failed failed"
[ "$failed" -eq 0 ]
