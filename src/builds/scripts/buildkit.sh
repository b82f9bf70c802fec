# Builds with BuildKit and leaves the image's digest where Kaniko leaves it.
# $1: the packed context to unpack, or "" when it is a folder; $2: the registry that is spoken to
# without TLS, or ""; $3: the registry whose certificate is from our own authorities, or ""; the
# rest: buildctl's arguments.
set -eu
archive="$1" plain="$2" ca="$3"
shift 3
export BUILDKITD_FLAGS="--oci-worker-no-process-sandbox"
if [ -n "$archive" ]; then
    mkdir -p /work/source
    # busybox closes a folder before it fills it: only root of a namespace gets in then.
    tar -xzf "$archive" -C /work/source 2>/dev/null ||
        rootlesskit tar -xzf "$archive" -C /work/source
fi
if [ -n "$plain$ca" ]; then
    option='http = true'
    if [ -n "$ca" ]; then
        option='ca = ["/var/run/secrets/berth/registry-ca/ca.crt"]'
    fi
    printf '[registry."%s"]\n  %s\n' "$plain$ca" "$option" >/work/buildkitd.toml
    BUILDKITD_FLAGS="$BUILDKITD_FLAGS --config /work/buildkitd.toml"
fi
buildctl-daemonless.sh "$@" --metadata-file /work/metadata.json
sed -n 's/.*"containerimage.digest": *"\(sha256:[0-9a-f]*\)".*/\1/p' /work/metadata.json >/dev/termination-log
