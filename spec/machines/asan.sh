#!/bin/sh
# Usage: spec/machines/asan.sh LUA LIBASAN     (by `make asan`)
#
# Runs LUA, as the system has it, with a module that was built with
# AddressSanitizer and UndefinedBehaviorSanitizer, which LUA_CPATH leads to:
# core.lua with the leak checker, the core specs, and the fault scenarios but
# for those that measure memory, which a sanitizer multiplies. A report of a
# sanitizer ends the process that caused it, and is counted wherever it shows.
set -u

lua=$1
libasan=$2
cd "$(dirname "$0")/../.." || exit 2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
passed=0 failed=0

# run LEAKS COMMAND...: the lines that count are summed up
run()
{
    leaks=$1
    shift
    LD_PRELOAD=$libasan ASAN_OPTIONS=detect_leaks=$leaks "$@" >"$log" 2>&1
    rc=$?
    reports=$(grep -cE 'ERROR: (Address|Leak)Sanitizer|runtime error:' "$log")
    set -- $(awk '
        /^[0-9]+ passed, [0-9]+ failed/ { p += $1; f += $3 }
        /^[0-9]+ success(es)? \/ [0-9]+ failures? \/ / { p += $1; f += $4 + $7 }
        END { print p + 0, f + 0 }' "$log") "$@"
    p=$1 f=$2
    shift 2
    if [ "$f" -eq 0 ] && { [ "$rc" -ne 0 ] || [ "$reports" -ne 0 ]; }; then
        f=1
    fi
    [ "$f" -eq 0 ] || cat "$log"
    echo "$p passed, $f failed, $reports reports: $*"
    passed=$((passed + p)) failed=$((failed + f))
}

run 1 "$lua" spec/machines/core.lua
for spec in replay framing payload history verdict conversation reply wire; do
    [ ! -e "spec/${spec}_spec.lua" ] ||
        run 0 "$lua" .ci/busted.lua -o plainTerminal "spec/${spec}_spec.lua"
done
for group in $("$lua" -e 'package.path = "./?.lua;./?/init.lua;" .. package.path
    for _, name in ipairs(require("spec.faults.run").groups) do
      if name ~= "limits" then print(name) end
    end'); do
    run 0 "$lua" spec/faults/main.lua "$group"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
