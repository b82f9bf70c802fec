# Fetches one commit of a git repository into the folder "source", without its history.
# $1: the URL, $2: the branch, tag or commit, $3: the folder for it, $4: the file of the token or "".
# The token is read by git's credential helper when git asks for it: it is in no argument, no
# variable, no URL and no file of the repository. Only the URL's own host gets it, whoever it
# redirects to.
set -eu
export GIT_TERMINAL_PROMPT=0 GIT_CONFIG_NOSYSTEM=1 HOME=/tmp
export TOKEN_FILE="$4"
helper='!f() { if [ "$1" = get ]; then echo "username=$GIT_USER"; echo "password=$(cat "$TOKEN_FILE")"; fi; }; f'
git init --quiet "$3"
cd "$3"
if [ -n "$4" ]; then
    origin=$(printf '%s' "$1" | sed 's|^\([a-z]*://[^/]*\).*|\1|')
    set -- "$1" "$2" "$3" -c credential.helper= -c "credential.$origin.helper=$helper"
else
    set -- "$1" "$2" "$3" -c credential.helper=
fi
url="$1" ref="$2"
shift 3
echo "fetching $ref of $url"
git "$@" -c protocol.allow=never -c protocol.https.allow=always -c protocol.http.allow=always \
    -c protocol.git.allow=always fetch --quiet --depth 1 --no-tags "$url" "$ref"
git -c advice.detachedHead=false checkout --quiet FETCH_HEAD
commit=$(git rev-parse HEAD)
rm -rf .git
echo "commit $commit"
printf 'commit %s' "$commit" >/dev/termination-log
