#!/bin/sh
# Usage: spec/machines/asan.sh LUA LIBASAN [quick]
#                                           (by `make asan` and `make apicheck`)
#
# Runs LUA with a module that was built with AddressSanitizer and
# UndefinedBehaviorSanitizer, which LUA_CPATH leads to: core.lua with the leak
# checker, the core specs, and the fault scenarios but for those that measure
# memory, which a sanitizer multiplies. LUA is what the system has, or, where
# HARD_GC is set, one that checks its callers (hard.h). A report ends the process
# that caused it, and is counted wherever it shows. `quick`: core.lua alone.
set -u

lua=$1
libasan=$2
quick=${3-}
cd "$(dirname "$0")/../.." || exit 2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
passed=0 failed=0
REPORT='ERROR: (Address|Leak)Sanitizer|runtime error:|: Assertion `.* failed'

# run LEAKS COMMAND...: the lines that count are summed up
run()
{
    leaks=$1
    shift
    LD_PRELOAD=$libasan ASAN_OPTIONS=detect_leaks=$leaks "$@" >"$log" 2>&1
    rc=$?
    reports=$(grep -cE "$REPORT" "$log")
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

everything()
{
    run 0 "$lua" spec/machines/walk.lua 500
    for spec in replay framing payload responses messages history verdict \
        conversation reply wire tools heal fallback structured images \
        provider module together queue save page; do
        [ ! -e "spec/${spec}_spec.lua" ] ||
            run 0 "$lua" .ci/busted.lua -o plainTerminal $without \
                "spec/${spec}_spec.lua"
    done
    for group in $("$lua" -e '
        package.path = "./?.lua;./?/init.lua;" .. package.path
        print(table.concat(require("spec.faults.run").groups, " "))'); do
        case " $skipped " in
        *" $group "*) ;;
        *) run 0 "$lua" spec/faults/main.lua "$group" ;;
        esac
    done
}

# hard.h collects wherever it can, and less often where parsers are given each
# byte by itself. With it specs of size and time say nothing.
often=${HARD_GC-}
without='' skipped=limits
if [ -n "$often" ]; then
    HARD_GC=1 SLACK=0.5
    export HARD_GC SLACK
    without='--filter-out=nested.100000 --filter-out=is.no.memory.for'
    skipped='limits clocks'
fi
run 1 "$lua" spec/machines/core.lua
[ -z "$often" ] || HARD_GC=$often
[ -n "$quick" ] || everything
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
