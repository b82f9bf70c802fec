# Waits in the folder of the context until berth has put the context there, and ends with 0 when all
# of it has come. $1: the longest pause, in seconds, in which nothing comes.
# The size stands still while all of it is hashed: the Job's deadline bounds that.
# This is the first process of its container: its end ends all others there. So at last it waits a
# moment for the shells that brought the context, whose end is still to be told.
set -eu
cd /context
mkfifo arrived
exec 3<>arrived
size=unknown
while ! read -r -t "$1" said <&3; do
    now=none
    if [ -e incoming ]; then
        now=$(wc -c <incoming)
    fi
    if [ "$now" = "$size" ]; then
        echo "error: the context did not arrive: for $1 s nothing came" >&2
        exit 1
    fi
    size=$now
done
if [ "$said" = hashing ]; then
    read -r said <&3
fi
rm -f arrived
case "$said" in
complete*) ;;
*)
    rm -f incoming
    echo "error: the context did not arrive: $said" >&2
    exit 1
    ;;
esac
left=5
for process in ${said#complete}; do
    while [ "$left" -gt 0 ] && [ "$process" -gt 1 ] && [ -d "/proc/$process" ]; do
        sleep 1
        left=$((left - 1))
    done
done
