# Finds out which programs are needed and missing, and installs them where that is allowed; to be sourced by bash.

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

# What the sandbox runs.
need_for_sandbox() {
  need_programs sshd ssh ssh-keygen bwrap busybox nsenter setpriv setsid git
  if [ "$(kubectl_minor)" = 0 ]; then
    # Debian calls it kubernetes-client, Kubernetes' own repository kubectl.
    install_packages kubectl || install_packages kubernetes-client || exit 1
  fi
  if [ "$(kubectl_minor)" -lt 31 ]; then
    echo "kubectl 1.31 or newer is needed, this is 1.$(kubectl_minor): https://kubernetes.io/docs/tasks/tools/" >&2
    exit 1
  fi
  if ! namespaces_work; then
    echo "bubblewrap may not make namespaces here (see kernel.apparmor_restrict_unprivileged_userns)" >&2
    exit 1
  fi
}

# What only tests need: the other login shells, and a PostgreSQL server.
need_for_tests() {
  need_programs bash dash fish tcsh
  if ! has_program initdb && ! compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; then
    install_packages postgresql || exit 1
  fi
}
