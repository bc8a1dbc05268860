# What the runs with foreign programs share. Whoever sources it has $root, the checkout, and $me, its own name.

# What was named, or else the newer of the two builds.
binary() {
  local target=${CARGO_TARGET_DIR:-$root/target}
  local found=${BURSAR:-$(ls -t "$target/debug/bursar" "$target/release/bursar" 2>/dev/null | head -n 1 || true)}
  [[ -n $found && -x $found ]] || fail "there is no binary ${found:-yet}; run cargo build first, or set BURSAR"
  realpath "$found"
}

# install_python ENVIRONMENT REQUIREMENTS: what is listed in a file, in an environment of its own
install_python() {
  local venv=$1 requirements=$2
  cmp -s "$requirements" "$venv/requirements.txt" && return
  rm -rf "$venv"
  mkdir -p "$(dirname "$venv")"
  python3 -m venv "$venv" 2>/dev/null || python3 -m virtualenv -q "$venv" 2>/dev/null ||
    fail "python3 cannot make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv"
  timeout 10m "$venv/bin/pip" install -q --disable-pip-version-check -r "$requirements"
  cp "$requirements" "$venv"
}

fail() {
  echo "$me: $*" >&2
  exit 69
}
