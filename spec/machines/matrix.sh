#!/bin/sh
# Usage: spec/machines/matrix.sh [ROW...]     (by `make matrix`)
#
# The tests on one system after another, and a table of what ran where:
#
#   here               this system: `make test` under each Lua of $LUAS
#   trixie sid         Debian 13 and tomorrow's: the same in a root (root.sh)
#   bullseye           this system with the libcurl of Debian 11, which packs too
#                      little for Lua 5.4 to run the scripted servers (libcurl.sh)
#   gnutls             this system with the libcurl that Debian links with GnuTLS
#   SUITE-gnutls       a Debian of the above with its own
#   s390x armhf i386 arm64
#                      other processors, under qemu (processors.sh)
#
# Each row is kept in build/matrix, so that one can be run again and the table
# still has all. A row that cannot be run here says so and fails nothing. Ends
# with the sum of the rows that were asked for.
set -eu

cd "$(dirname "$0")/../.."
machines=spec/machines
all='here trixie sid bullseye gnutls trixie-gnutls sid-gnutls s390x armhf i386 arm64'
rows=${*:-$all}
out=build/matrix
mkdir -p "$out"
. .ci/counting

# run ROW: what it writes ends with a line that counts. Exit code 75: not run.
run()
{
    case $1 in
    here) $machines/row.sh suite ;;
    trixie) $machines/root.sh trixie $machines/row.sh suite ;;
    sid)
        LUAS=${LUAS:-lua5.5 lua5.4 lua5.3 lua5.1 luajit} \
            $machines/root.sh sid $machines/row.sh suite
        ;;
    bullseye) $machines/libcurl.sh bullseye ;;
    gnutls) $machines/row.sh gnutls ;;
    *-gnutls) $machines/root.sh "${1%-gnutls}" $machines/row.sh gnutls ;;
    s390x | armhf | i386 | arm64) $machines/processors.sh "$1" ;;
    *) echo "not run: there is no row $1" && return 2 ;;
    esac
}

# said NAME: the words of the last line "version NAME WORDS" of $log
said()
{
    words=$(sed -n "s/^version $1 //p" "$log" | tail -n 1)
    echo "${words:--}"
}

# Why tests were skipped, each reason once with how often; what set-up left out
reasons()
{
    LC_ALL=C awk '/^(left out|not run): / { print }
        /^Pending → / { getline; getline; sub(/^[^ ]+: /, ""); print "skipped: " $0 }
        /^       skipped   / { sub(/^ +skipped +/, ""); print "skipped: " $0 }' \
        "$log" | sort | uniq -c | sed 's/^ *1 \(left\|not\)/\1/; s/^ *//'
}

for row in $rows; do
    log=$out/$row.log
    echo "=== $row"
    before="$passed $failed $skipped"
    counted "$row" run "$row"
    if [ "$rc" -eq 75 ]; then
        echo "$row|-|-|-|-|-|-|-|not run|-|-|-" >"$out/$row.txt"
    else
        set -- $before
        case $row in
        here | trixie | sid) what='`make test`' ;;
        *gnutls) what='`make faults`' ;;
        bullseye) what='`make faults`, a pass through the module' ;;
        *) what='C tests, a pass through the module, specs of the core' ;;
        esac
        [ "$rc" -ne 137 ] || what="$what, ended after ${LIMIT:-3600} s"
        echo "$row|$(said system)|$(said processor)|$(said lua)|$(
            said libcurl)|$(said tls)|$(said neovim)|$(said love)|$what|$(
            echo $((passed - $1)) "|" $((failed - $2)) "|" $((skipped - $3)))" |
            sed 's/ | /|/g' >"$out/$row.txt"
    fi
    reasons >"$out/$row.why"
done

echo
for row in $all; do
    [ ! -e "$out/$row.txt" ] || cat "$out/$row.txt"
done | LC_ALL=C awk -F '|' '
    function width_of(s) { gsub(/[\200-\277]/, "", s); return length(s) }
    BEGIN {
        head = "row|system|processor|Lua|libcurl|TLS|Neovim|LÖVE|run|passed|failed|skipped"
        add(head)
    }
    function add(line, cells, i)
    {
        n++
        fields = split(line, cells, "|")
        for (i = 1; i <= fields; i++) {
            cell[n, i] = cells[i]
            if (width_of(cells[i]) > width[i]) width[i] = width_of(cells[i])
        }
    }
    { add($0) }
    END {
        for (r = 1; r <= n; r++) {
            line = rule = "|"
            for (i = 1; i <= fields; i++) {
                pad = width[i] - width_of(cell[r, i])
                line = line " " cell[r, i] sprintf("%" pad "s", "") " |"
                rule = rule sprintf("%" width[i] + 2 "s", "") "|"
            }
            gsub(/ /, "-", rule)
            print line
            if (r == 1) print rule
        }
    }'
echo
for row in $rows; do
    sed "s/^/$row: /" "$out/$row.why"
done
summed_up
