# Fetches one commit of a git repository into the folder "source", without its history, with its
# submodules and its LFS files.
# $1: the URL, $2: the branch, tag or commit, $3: the folder for it, $4: the file of the token or "",
# $5: the Dockerfile, if it may have no heredoc: then the exit code is 65, which git does not use.
# The token is read by git's credential helper when git asks for it: it is in no argument, no
# variable, no URL and no file of the repository. Only the URL's own host gets it, whoever it
# redirects to.
set -eu
export GIT_TERMINAL_PROMPT=0 GIT_CONFIG_NOSYSTEM=1 HOME=/tmp
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=core.quotePath GIT_CONFIG_VALUE_0=false
export TOKEN_FILE="$4"
dockerfile="$5"
helper='!f() { if [ "$1" = get ]; then echo "username=$GIT_USER"; echo "password=$(cat "$TOKEN_FILE")"; fi; }; f'
fail() {
    echo "error: $1" >&2
    exit "${2:-1}"
}
git init --quiet "$3"
cd "$3"
if [ -n "$4" ]; then
    origin=$(printf '%s' "$1" | sed 's|^\([a-z]*://[^/]*\).*|\1|')
    set -- "$1" "$2" -c credential.helper= -c "credential.$origin.helper=$helper"
else
    set -- "$1" "$2" -c credential.helper=
fi
url="$1" ref="$2"
shift 2
set -- "$@" -c protocol.allow=never -c protocol.https.allow=always -c protocol.http.allow=always \
    -c protocol.git.allow=always -c advice.detachedHead=false
echo "fetching $ref of $url"
# Relative URLs of submodules begin here, and LFS asks here.
git config remote.origin.url "$url"
git "$@" fetch --quiet --depth 1 --no-tags "$url" "$ref"
git "$@" checkout --quiet FETCH_HEAD
commit=$(git rev-parse HEAD)

# The path of each submodule, in submodules too.
submodules() {
    git ls-files --stage | sed -n "s/^160000 [0-9a-f]* [0-9]$(printf '\t')//p" | while IFS= read -r path; do
        echo "$1$path"
        (cd "$path" 2>/dev/null && [ -e .git ] && submodules "$1$path/") || true
    done
}
if [ -n "$(submodules '')" ]; then
    echo "fetching submodules"
    git "$@" submodule --quiet update --init --recursive --depth 1 ||
        git "$@" submodule --quiet update --init --recursive || {
        submodules '' | while IFS= read -r path; do
            [ -e "$path/.git" ] || fail "the submodule $path can't be fetched"
        done
        exit 1
    }
fi

# The first file in this folder that is still what LFS puts in the place of a file.
pointer() {
    git grep -l --cached -e '^version https://git-lfs\.github\.com/spec/v1$' | while IFS= read -r path; do
        case "$(git check-attr filter -- "$path")" in
        *": filter: lfs") ;;
        *) continue ;;
        esac
        if [ "$(head -c 42 "$path" 2>/dev/null)" = "version https://git-lfs.github.com/spec/v1" ]; then
            echo "$path"
            break
        fi
    done
}
{
    echo
    submodules ''
} | while IFS= read -r folder; do
    (
        cd "./$folder"
        [ -n "$(pointer)" ] || exit 0
        echo "fetching LFS files${folder:+ of $folder}"
        why="git-lfs is not in the image that fetches; set BUILDER_GIT_IMAGE to one that has it"
        if git lfs version >/dev/null 2>&1; then
            why="git-lfs left it out"
            git "$@" lfs install --local --skip-smudge >/dev/null
            git "$@" lfs pull
        fi
        path=$(pointer)
        [ -z "$path" ] || fail "the LFS file ${folder:+$folder/}$path can't be fetched: $why"
    ) || exit 1
done
find . -name .git -prune -exec rm -rf {} +

if [ -n "$dockerfile" ] && [ -f "$dockerfile" ]; then
    # As in a folder: logical lines of RUN, COPY and ADD that have a word such as <<EOF.
    line=$(awk '
        BEGIN { quote = sprintf("%c", 39) }
        /^[ \t]*(#|$)/ { next }
        {
            if (!open) { number = NR; text = "" }
            open = sub(/\\[ \t\r]*$/, "")
            text = text " " $0
            if (open) next
            sub(/^[ \t]+/, "", text)
            # What stands in quotes begins no heredoc, but the end may be quoted.
            while (match(text, "<<-?[\"" quote "][A-Za-z0-9_.]+[\"" quote "]")) {
                text = substr(text, 1, RSTART - 1) "<<EOF" substr(text, RSTART + RLENGTH)
            }
            gsub(/"[^"]*"/, "_", text)
            gsub(quote "[^" quote "]*" quote, "_", text)
            sub(/^[Oo][Nn][Bb][Uu][Ii][Ll][Dd][ \t]+/, "", text)
            if (toupper(text) ~ /^(RUN|COPY|ADD)[ \t]/ &&
                text ~ /[ \t][0-9]*<<-?[A-Za-z0-9_.]+([ \t\r]|$)/) {
                print number
                exit
            }
        }' "$dockerfile")
    [ -z "$line" ] || fail "Dockerfile line $line has a heredoc, which Kaniko skips; use the builder buildkit" 65
fi
echo "commit $commit"
printf 'commit %s' "$commit" >/dev/termination-log
