# Builds with BuildKit and leaves the image's digest where Kaniko leaves it.
# $1: the packed context to unpack, or "" when it is a folder; $2: the registry that is spoken to
# without TLS, or ""; the rest: buildctl's arguments.
set -eu
archive="$1" plain="$2"
shift 2
export BUILDKITD_FLAGS="--oci-worker-no-process-sandbox"
if [ -n "$archive" ]; then
    mkdir -p /work/source
    # busybox closes a folder before it fills it: only root of a namespace gets in then.
    tar -xzf "$archive" -C /work/source 2>/dev/null ||
        rootlesskit tar -xzf "$archive" -C /work/source
fi
if [ -n "$plain" ]; then
    printf '[registry."%s"]\n  http = true\n' "$plain" >/work/buildkitd.toml
    BUILDKITD_FLAGS="$BUILDKITD_FLAGS --config /work/buildkitd.toml"
fi
buildctl-daemonless.sh "$@" --metadata-file /work/metadata.json
sed -n 's/.*"containerimage.digest": *"\(sha256:[0-9a-f]*\)".*/\1/p' /work/metadata.json >/dev/termination-log
