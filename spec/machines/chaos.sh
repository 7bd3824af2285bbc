#!/bin/sh
# Usage: spec/machines/chaos.sh SECONDS SEED EACH LIBASAN BUILD...  (by `make chaos`)
#
# Runs chaos.lua for EACH seconds in a process of its own, again and again until
# SECONDS have passed, and under each BUILD at least once. A BUILD is a folder
# whose name begins with that of its Lua, and has chatbot/core.so, or a Lua of its
# own beside that. LIBASAN is loaded before a Lua that is to run a module with
# sanitizers. A round has one seed, SEED and what follows, with which it can be
# repeated. The same finding is shown once.
set -u

seconds=$1 seed=$2 each=$3 libasan=$4
shift 4
cd "$(dirname "$0")/../.." || exit 2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
LUA_PATH="lua/?.lua;lua/?/init.lua;;"
export LUA_PATH
unset LUA_PATH_5_2 LUA_PATH_5_3 LUA_PATH_5_4 LUA_PATH_5_5 LUA_CPATH_5_2 LUA_CPATH_5_3 \
    LUA_CPATH_5_4 LUA_CPATH_5_5 LUA_INIT
steps=0 requests=0 findings=0 children=0
limit=$((each + 50)) # s until a child that does not end is one that hangs

# What a child that ended badly says, without what differs from run to run.
signature()
{
    {
        sed -n 's/^FINDING //p' "$dir/out"
        grep -hE 'Assertion|runtime error:|PANIC|LeakSanitizer:' "$dir/log"
        grep -m 1 -hE 'ERROR: AddressSanitizer' "$dir/log"
        # the first places that are the module's
        grep -oE ' in [a-z_]+ src/[a-z/_]+\.c:[0-9]+' "$dir/log" | head -n 3
        [ "$1" -ne 124 ] && [ "$1" -ne 137 ] || echo "does not end within $limit s"
    } | sed 's/0x[0-9a-f]*/0x/g; s/==[0-9]*==//; s/ on .*address.*//'
}

# child BUILD SEED
child()
{
    lua=$(basename "$1" | sed 's/-.*//')
    preload='' options="detect_leaks=0:handle_abort=1"
    case $1 in *-asan) preload=$libasan ;; esac
    case $1 in *-asan | *-hard) ;; *) options='' ;; esac
    [ ! -x "$1/$lua" ] || lua=$1/$lua
    env LUA_CPATH="$1/?.so;;" ${preload:+LD_PRELOAD="$preload"} \
        ${options:+ASAN_OPTIONS="$options"} HARD_GC=3 \
        timeout -s ABRT -k 5 "$limit" \
        "$lua" spec/machines/chaos.lua "$each" "$2" >"$dir/out" 2>"$dir/log"
    rc=$?
    children=$((children + 1))
    set -- "$1" "$2" $(sed -n \
        's/^chaos: \([0-9]*\) steps, \([0-9]*\) requests, \([0-9]*\) .*/\1 \2 \3/p' \
        "$dir/out")
    n=${5-0}
    # one that says all is well, and does not come to its end
    case $rc,$#,$n in
    0,5,0 | 1,5,[1-9]*) ;;
    *) n=$((n + 1)) ;;
    esac
    steps=$((steps + ${3-0})) requests=$((requests + ${4-0}))
    findings=$((findings + n))
    [ "$n" -gt 0 ] || return 0
    what=$(signature "$rc")
    grep -qxF "$1 $(echo $what)" "$dir/known" 2>/dev/null && return 0
    echo "$1 $(echo $what)" >>"$dir/known"
    echo "--- $1, seed $2, exit status $rc"
    echo "$what"
    echo "the last that was done:"
    grep -vE '^ +#|^=|^Address|^SUMMARY' "$dir/log" | grep -E '^ *[0-9]+ ' |
        tail -n 6
    echo "again: make chaos SEED=$2 SECONDS=1 EACH=$each CHAOS='$1'"
}

echo "seed $seed"
started=$(date +%s)
round=0
while [ "$round" -eq 0 ] || [ $(($(date +%s) - started)) -lt "$seconds" ]; do
    for build in "$@"; do
        if [ "$round" -gt 0 ] &&
            [ $(($(date +%s) - started)) -ge "$seconds" ]; then
            break
        fi
        child "$build" $((seed + round))
    done
    round=$((round + 1))
done
[ ! -s "$dir/known" ] || echo "$(wc -l <"$dir/known") findings that differ"
echo "chaos: $steps steps, $requests requests, $findings findings"
[ "$findings" -eq 0 ] && [ "$steps" -gt 0 ]
