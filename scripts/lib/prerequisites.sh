# Finds out which programs the sandbox needs and lacks, and installs them where that is allowed; to be sourced by bash.

# Debian's package for a program.
package_of() {
  case $1 in
    sshd) echo openssh-server ;;
    ssh | ssh-keygen) echo openssh-client ;;
    bwrap) echo bubblewrap ;;
    busybox) echo busybox-static ;;
    nsenter | setpriv | setsid) echo util-linux ;;
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
  if has_program apt-get && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qqy "$@" >&2; then
    return 0
  fi
  echo "please install: $*" >&2
  return 1
}

# Makes sure that everything the sandbox runs is there; 1 if not.
sandbox_prerequisites() {
  local program missing=()
  for program in sshd ssh ssh-keygen bwrap busybox nsenter setpriv setsid; do
    has_program "$program" || missing+=("$(package_of "$program")")
  done
  if [ ${#missing[@]} -gt 0 ]; then
    mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
    install_packages "${missing[@]}" || return 1
  fi
  if [ "$(kubectl_minor)" = 0 ]; then
    # Debian calls it kubernetes-client, Kubernetes' own repository kubectl.
    install_packages kubectl || install_packages kubernetes-client || return 1
  fi
  if [ "$(kubectl_minor)" -lt 31 ]; then
    echo "kubectl 1.31 or newer is needed, this is 1.$(kubectl_minor): https://kubernetes.io/docs/tasks/tools/" >&2
    return 1
  fi
  if ! namespaces_work; then
    echo "bubblewrap may not make namespaces here (kernel.apparmor_restrict_unprivileged_userns?)" >&2
    return 1
  fi
}
