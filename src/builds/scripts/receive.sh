# Waits in the folder of the context until berth has put the context there, and ends with 0 when all
# of it has come. $1: the longest pause, in seconds, in which nothing comes.
set -eu
cd /context
mkfifo arrived
exec 3<>arrived
size=none
while ! read -r -t "$1" said <&3; do
    now=$(wc -c <incoming 2>/dev/null || echo nothing)
    if [ "$now" = "$size" ]; then
        echo "error: the context did not arrive: for $1 s nothing came" >&2
        exit 1
    fi
    size=$now
done
rm -f arrived
if [ "$said" != complete ]; then
    rm -f incoming
    echo "error: the context did not arrive: $said" >&2
    exit 1
fi
