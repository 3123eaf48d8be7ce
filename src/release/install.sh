#!/bin/sh
# Installs databuddy from a release: the program, its licenses and, on Linux, a user, a folder for data and a systemd unit.
# Run it with --help for its options.
set -eu
# Other users, such as databuddy, must be able to read what is installed.
umask 022

usage() {
  cat <<'TEXT'
Usage: install.sh [options]

  --from <folder or URL>  where the files of the release are (default: DATABUDDY_RELEASES, or this script's folder)
  --version <version>     which version, if the folder has several
  --public-key <key>      verify SHA256SUMS.minisig with this key; needs minisign
  --prefix <folder>       install into <folder>/bin and <folder>/share (default: /usr/local)
  --no-service            install or uninstall the program only: no user, no folder for data, no settings, no unit
  --uninstall             remove everything but the data in /var/lib/databuddy, the user that owns it, and your own files
                          in /etc/databuddy
  --dry-run               print what would be done, and change nothing
TEXT
}

data=/var/lib/databuddy
config=/etc/databuddy
# Paths below the prefix.
manual=share/man/man1/databuddy.1
bash_completion=share/bash-completion/completions/databuddy
zsh_completion=share/zsh/site-functions/_databuddy
fish_completion=share/fish/vendor_completions.d/databuddy.fish
unit=/etc/systemd/system/databuddy.service

from=${DATABUDDY_RELEASES:-}
version=
public_key=
prefix=/usr/local
service=yes
action=install
dry_run=

fail() {
  printf 'error: %s\n' "$1" >&2
  if [ $# -gt 1 ]; then printf 'hint: %s\n' "$2" >&2; fi
  exit 1
}

# Runs a command, or prints it with --dry-run.
run() {
  if [ -n "$dry_run" ]; then
    printf 'would run: %s\n' "$*"
  else
    "$@"
  fi
}

has() { command -v "$1" >/dev/null 2>&1; }

while [ $# -gt 0 ]; do
  case $1 in
    --from | --version | --public-key | --prefix)
      [ $# -gt 1 ] || fail "$1 needs a value" "see --help"
      case $1 in
        --from) from=$2 ;;
        --version) version=$2 ;;
        --public-key) public_key=$2 ;;
        --prefix) prefix=$2 ;;
      esac
      shift
      ;;
    --no-service) service= ;;
    --uninstall) action=uninstall ;;
    --dry-run) dry_run=yes ;;
    --help | -h)
      usage
      exit 0
      ;;
    *) fail "unknown option $1" "see --help" ;;
  esac
  shift
done

# The name of the release's archive for this machine, such as linux-x64-musl.
platform() {
  case $(uname -s) in
    Linux) system=linux ;;
    Darwin) system=darwin ;;
    *) fail "there is no release for $(uname -s)" "on Windows, unpack the zip file" ;;
  esac
  case $(uname -m) in
    x86_64 | amd64) processor=x64 ;;
    aarch64 | arm64) processor=arm64 ;;
    *) fail "there is no release for the processor $(uname -m)" "x64 and arm64 are supported" ;;
  esac
  libc=
  if [ "$system" = linux ]; then
    for loader in /lib/ld-musl-*.so.1; do
      # A system with glibc can have musl's loader too.
      if [ -e "$loader" ] && ! ldd --version 2>&1 | grep -qiE 'glibc|gnu libc'; then libc=-musl; fi
    done
  fi
  echo "$system-$processor$libc"
}

# Copies a file of the release to a path.
fetch() {
  case $from in
    http://* | https://*)
      if has curl; then
        curl --fail --silent --show-error --location --output "$2" "${from%/}/$1" || return 1
      elif has wget; then
        wget -q -O "$2" "${from%/}/$1" || return 1
      else
        fail "neither curl nor wget is installed" "install one of them, or download the release and use --from <folder>"
      fi
      ;;
    *) cp "$from/$1" "$2" 2>/dev/null || return 1 ;;
  esac
}

sha256() {
  if has sha256sum; then
    sha256sum "$1" | cut -d ' ' -f 1
  elif has shasum; then
    shasum -a 256 "$1" | cut -d ' ' -f 1
  else
    openssl dgst -sha256 -r "$1" | cut -d ' ' -f 1
  fi
}

create_user() {
  if id databuddy >/dev/null 2>&1; then return; fi
  if has useradd; then
    run useradd --system --user-group --home-dir "$data" --no-create-home --shell /usr/sbin/nologin databuddy
  else
    # BusyBox
    run addgroup -S databuddy
    run adduser -S -D -H -h "$data" -s /sbin/nologin -G databuddy databuddy
  fi
}

remove_user() {
  if ! id databuddy >/dev/null 2>&1; then return; fi
  if has userdel; then
    run userdel databuddy
  else
    run deluser databuddy
  fi
  if grep -q '^databuddy:' /etc/group && has groupdel; then run groupdel databuddy; fi
}

systemd_runs() { [ -d /run/systemd/system ] && has systemctl; }

# Copies a file of the archive, which earlier versions did not have, to a path below the prefix.
install_text() {
  if [ ! -e "$files/$1" ]; then return; fi
  run mkdir -p "$(dirname "$prefix/$2")"
  run cp "$files/$1" "$prefix/$2"
  run chmod 644 "$prefix/$2"
}

# Removes a file below the prefix and the folders that were created for it.
remove_text() {
  run rm -f "$prefix/$1"
  folder=$(dirname "$1")
  while [ "$folder" != share ] && [ "$folder" != share/man ] && rmdir_if_empty "$prefix/$folder"; do
    folder=$(dirname "$folder")
  done
}

rmdir_if_empty() {
  [ -d "$1" ] || return 1
  if [ -n "$(ls -A "$1")" ]; then return 1; fi
  run rmdir "$1"
  # With --dry-run the folder stays.
  [ ! -d "$1" ]
}

refuse_package() {
  for file in /lib/systemd/system/databuddy.service /usr/lib/systemd/system/databuddy.service; do
    if [ -e "$file" ]; then
      fail "databuddy was installed by a package ($file)" "use the package manager, or remove the package first"
    fi
  done
}

install_databuddy() {
  if [ -z "$from" ]; then
    from=$(dirname "$0")
    [ -e "$from/SHA256SUMS" ] || fail "there is no release in $from" "name its folder or URL with --from"
  fi
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  trap 'exit 1' INT TERM
  name=$(platform)
  fetch SHA256SUMS "$work/SHA256SUMS" || fail "$from has no SHA256SUMS" "check --from"
  if [ -n "$public_key" ]; then
    has minisign || fail "--public-key needs minisign" "install minisign"
    fetch SHA256SUMS.minisig "$work/SHA256SUMS.minisig" || fail "$from has no SHA256SUMS.minisig: the release is not signed"
    minisign -V -q -P "$public_key" -m "$work/SHA256SUMS" || fail "the signature of SHA256SUMS is not valid: nothing was installed"
  fi
  archives=$(sed -n "s/^[0-9a-f]\{64\}  \(databuddy-[0-9].*-$name\.tar\.gz\)\$/\1/p" "$work/SHA256SUMS")
  if [ -n "$version" ]; then archives=$(echo "$archives" | grep -Fx "databuddy-$version-$name.tar.gz" || true); fi
  case $(echo "$archives" | grep -c .) in
    0) fail "$from has no databuddy${version:+ $version} for $name" "check --from and --version" ;;
    1) archive=$archives ;;
    *) fail "$from has several versions for $name" "choose one with --version" ;;
  esac
  printf 'Installing %s from %s\n' "${archive%.tar.gz}" "$from"
  fetch "$archive" "$work/$archive" || fail "$from/$archive cannot be read"
  expected=$(sed -n "s/^\([0-9a-f]\{64\}\)  $archive\$/\1/p" "$work/SHA256SUMS")
  [ "$(sha256 "$work/$archive")" = "$expected" ] ||
    fail "$archive does not have the checksum in SHA256SUMS: nothing was installed" "download it again; the file is damaged or was replaced"
  tar -xzf "$work/$archive" -C "$work"
  files="$work/${archive%.tar.gz}"
  "$files/databuddy" --version >/dev/null || fail "the program does not run on this system: nothing was installed" "if ${TMPDIR:-/tmp} is mounted noexec, set TMPDIR to a folder where programs can run"

  run mkdir -p "$prefix/bin" "$prefix/share/databuddy"
  # The new file replaces the old one in one step; a running server keeps the old one.
  run cp "$files/databuddy" "$prefix/bin/.databuddy.new"
  run chmod 755 "$prefix/bin/.databuddy.new"
  run mv -f "$prefix/bin/.databuddy.new" "$prefix/bin/databuddy"
  for text in LICENSE THIRD-PARTY-LICENSES.txt CHANGELOG.md; do
    run cp "$files/$text" "$prefix/share/databuddy/$text"
  done

  install_text databuddy.1 "$manual"
  install_text completions/databuddy.bash "$bash_completion"
  install_text completions/databuddy.zsh "$zsh_completion"
  install_text completions/databuddy.fish "$fish_completion"

  if [ -z "$service" ] || [ "$(uname -s)" != Linux ]; then
    printf 'Done. Start a server with: %s/bin/databuddy serve\n' "$prefix"
    return
  fi
  create_user
  if [ ! -d "$data" ]; then
    run mkdir -p "$data"
    run chown databuddy:databuddy "$data"
    run chmod 700 "$data"
  fi
  if [ ! -e "$config/databuddy.env" ]; then
    run mkdir -p "$config"
    run cp "$files/databuddy.env" "$config/databuddy.env"
    run chmod 640 "$config/databuddy.env"
  fi
  if ! has systemctl; then
    printf 'Done. There is no systemd here. Start the server as the user databuddy: %s/bin/databuddy serve --db %s/databuddy.db\n' "$prefix" "$data"
    return
  fi
  sed "s#/usr/local/bin/#$prefix/bin/#" "$files/databuddy.service" >"$work/databuddy.service"
  is_upgrade=
  if [ -e "$unit" ]; then is_upgrade=yes; fi
  run mkdir -p "$(dirname "$unit")"
  run cp "$work/databuddy.service" "$unit"
  run chmod 644 "$unit"
  if systemd_runs; then run systemctl daemon-reload; fi
  if [ -n "$is_upgrade" ]; then
    if systemd_runs; then run systemctl try-restart databuddy.service; fi
  else
    run systemctl enable databuddy.service
    if systemd_runs; then run systemctl start databuddy.service; fi
  fi
  printf 'Done. Settings: %s/databuddy.env. Create your account with:\n  sudo -u databuddy %s/bin/databuddy user create you@example.com --db %s/databuddy.db\n' "$config" "$prefix" "$data"
}

uninstall_databuddy() {
  if [ -n "$service" ]; then
    if systemd_runs && [ -e "$unit" ]; then run systemctl stop databuddy.service; fi
    if has systemctl && [ -e "$unit" ]; then run systemctl disable databuddy.service; fi
    run rm -f "$unit"
    if systemd_runs; then run systemctl daemon-reload; fi
  fi
  run rm -f "$prefix/bin/databuddy" "$prefix/bin/.databuddy.new" "$prefix/bin/databuddy.previous"
  run rm -rf "$prefix/share/databuddy"
  for text in "$manual" "$bash_completion" "$zsh_completion" "$fish_completion"; do remove_text "$text"; done
  if [ -z "$service" ]; then
    printf 'Done.\n'
    return
  fi
  # The folder can contain the administrator's files, such as the key of a certificate.
  run rm -f "$config/databuddy.env" "$config/log-level"
  rmdir_if_empty "$config" || true
  # The data stays, and so does the user that owns it: another user could get its ID.
  if [ -d "$data" ]; then run rmdir "$data" 2>/dev/null || true; fi
  if [ -d "$data" ]; then
    printf 'Done. %s and the user databuddy were not removed.\n' "$data"
  else
    remove_user
    printf 'Done.\n'
  fi
  if [ -z "$dry_run" ] && [ -d "$config" ]; then
    printf 'These files in %s were not removed:\n' "$config"
    ls -A "$config"
  fi
}

if [ -z "$dry_run" ] && [ "$(id -u)" != 0 ] && [ -n "$service" ]; then
  fail "only root can install a service" "run it with sudo, or install the program only: --no-service --prefix ~/.local"
fi
refuse_package
if [ "$action" = install ]; then
  install_databuddy
else
  uninstall_databuddy
fi
