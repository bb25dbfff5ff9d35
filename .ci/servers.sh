#!/usr/bin/env bash
# servers.sh installs the real servers that the tests run against, out of
# Debian's suites, without touching the machine's own packages:
#
#   .ci/servers.sh [DIR [NAME...]]
#
# DIR (default: .servers beside .ci) then holds
#
#   bin/NAME       behaves as the server binary: redis-6.0, redis-7.0, ...
#   bin/*-cli-*    behaves as its command line client: redis-cli-6.0, ...
#   lib/NAME/      the two binaries with every library of their suite
#
# and may be moved as a whole. Without NAME all servers are installed. One that
# already answers is left as it is; a broken one is installed anew.
#
# Packages come from the mirrors in the machine's own apt configuration, or from
# those in DEBIAN_MIRROR (URLs, blanks between them), and count only when signed
# by Debian. Needs apt-get, dpkg-deb and flock, but not root.
set -euo pipefail
shopt -s inherit_errexit
export LC_ALL=C

# Each server: name, suite that has it, package that holds its binaries. In
# these packages NAME-server is the same binary as NAME-check-rdb, which looks
# at argv[0]; the server packages add only links to it and service files.
readonly servers='
redis-6.0  bullseye redis-tools
redis-7.0  bookworm redis-tools
redis-8.0  forky    redis-tools
valkey-8.1 trixie   valkey-tools
valkey-9.1 forky    valkey-tools
'

# Libraries that glibc and the servers open by name at run time.
readonly opened_late='libgcc_s.so.1 libnss_files.so.2 libnss_dns.so.2 libresolv.so.2'

say() { printf 'servers.sh: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

# field N NAME prints the Nth column of the table above, nothing if NAME is
# not in it.
field() { awk -v n="$1" -v name="$2" '$1 == name { print $n }' <<<"$servers"; }

# cli_of NAME prints the name of the client that goes with a server.
cli_of() { echo "${1%%-*}-cli-${1#*-}"; }

# release BINARY prints the release that a server or client says it is. The
# output is read whole before it is cut, so that no writer meets a closed pipe.
release() {
  local out
  out=$(timeout 20 "$1" --version </dev/null 2>/dev/null) || return 1
  # "Redis server v=7.0.15 sha=...", "Valkey server v=8.1.1 ...", "redis-cli 7.0.15"
  sed -nE '1s/^[A-Za-z-]+( server)? (v=)?([0-9]+\.[0-9]+\.[0-9]+).*/\3/p' <<<"$out"
}

# works NAME: the server and its client run and are of the version asked for.
works() {
  local bin version=${1#*-}
  for bin in "$dir/bin/$1" "$dir/bin/$(cli_of "$1")"; do
    [[ -x $bin && $(release "$bin") == "$version".* ]] || return 1
  done
}

# missing prints those of the wanted servers that do not work.
missing() {
  local name
  for name in "${wanted[@]}"; do
    works "$name" || echo "$name"
  done
}

# mirrors prints the places to look for a suite, best first, one a line.
mirrors() {
  if [[ -n ${DEBIAN_MIRROR:-} ]]; then
    tr -s '[:space:]' '\n' <<<"$DEBIAN_MIRROR" | sed '/^$/d'
    return
  fi
  # --no-release-info: list what is configured, fetched yet or not. Updates and
  # security fixes of a suite are further entries and seldom hold other suites.
  # shellcheck disable=SC2016 # apt-get expands these
  apt-get indextargets --no-release-info \
    --format '$(CREATED_BY) $(COMPONENT) $(RELEASE) $(REPO_URI)' |
    awk '$1 == "Packages" && $2 == "main" && $3 !~ /-|\// && !seen[$4]++ { print $4 }'
}

# keyring prints Debian's archive keyring, installing it where that is possible.
keyring() {
  local file tries
  for tries in 1 2; do
    for file in /usr/share/keyrings/debian-archive-keyring.{gpg,pgp}; do
      if [[ -r $file ]]; then
        echo "$file"
        return
      fi
    done
    ((tries == 1 && EUID == 0)) || break
    apt-get -qq update </dev/null >&2 || true
    DEBIAN_FRONTEND=noninteractive apt-get -qq -y install debian-archive-keyring </dev/null >&2 || break
  done
  fail 'no keyring to check signatures with: install the package debian-archive-keyring'
}

# apt_world FOLDER writes the configuration of an apt that has nothing to do
# with the machine's: its own lists and cache, and no package installed. From the
# machine's it takes how to reach a mirror and how old a mirror may be, but no
# hooks and nothing that would let an unsigned package pass.
apt_world() {
  local world=$1
  mkdir -p "$world"/{lists,cache/archives}/partial
  : >"$world/status"
  {
    apt-config dump | grep -E '^Acquire::(https?::|Check-Date |Check-Valid-Until |(Max|Min)-ValidTime)' || true
    cat <<CONF
Dir::Etc::Main "/dev/null";
Dir::Etc::Parts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Dir::Etc::SourceList "$world/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::State::Lists "$world/lists";
Dir::State::status "$world/status";
Dir::Cache "$world/cache";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::http::Timeout "60";
Acquire::https::Timeout "60";
Acquire::AllowInsecureRepositories "false";
APT::Architectures { "$arch"; };
APT::Get::AllowUnauthenticated "false";
APT::Update::Error-Mode "any";
// The unprivileged user of apt may not reach this folder.
APT::Sandbox::User "root";
CONF
  } >"$world/apt.conf"
}

# fetch SUITE FOLDER PACKAGE... unpacks packages and all they depend on into
# FOLDER/root.
fetch() {
  local suite=$1 world=$2 mirror found='' deb
  shift 2
  apt_world "$world"
  export APT_CONFIG=$world/apt.conf
  for mirror in "${sources[@]}"; do
    echo "deb [signed-by=$keys] $mirror $suite main" >"$world/sources.list"
    if apt-get -qq update; then
      found=$mirror
      break
    fi
  done
  [[ -n $found ]] || fail "no mirror serves it with a good signature (tried ${sources[*]}); DEBIAN_MIRROR can name others"

  apt-get -qq -y --no-install-recommends --download-only install "$@" ||
    fail "cannot fetch $* from $found"
  for deb in "$world"/cache/archives/*.deb; do
    dpkg-deb -x "$deb" "$world/root"
  done
}

# loader_in ROOT prints the suite's own dynamic loader.
loader_in() {
  local file
  for file in "$1"/{usr/,}lib/*/ld-linux*.so.* "$1"/{usr/,}lib/*/ld64.so.*; do
    if [[ -e $file ]]; then
      echo "$file"
      return
    fi
  done
  fail 'its libc6 has no dynamic loader where one is expected'
}

# collect ROOT PRODUCT TO copies a product's two binaries, the loader and the
# libraries that these need from an unpacked suite into the folder TO.
collect() {
  local root=$1 product=$2 to=$3 loader path='' folder name file sonames
  loader=$(loader_in "$root")
  for folder in "$root"/{usr/,}lib/*-linux-*; do
    if [[ -d $folder && ! -L $folder ]]; then path+=${path:+:}$folder; fi
  done

  mkdir -p "$to"
  cp -L "$root/usr/bin/$product-check-rdb" "$to/$product-server"
  cp -L "$root/usr/bin/$product-cli" "$to/$product-cli"
  cp -L "$loader" "$to/"

  # Only the names are taken from the loader's answer ("name => path (0x...)"):
  # a path of it may be of a variant for this machine's processor alone.
  sonames=$(for file in "$to/$product-server" "$to/$product-cli"; do
    "$loader" --inhibit-cache --library-path "$path" --list "$file"
  done | sed -nE 's/^[[:space:]]*([^/[:space:]]+) => .*/\1/p' | sort -u)
  for name in $sonames $opened_late; do
    for folder in "$root"/{usr/,}lib/*-linux-*; do
      if [[ -e $folder/$name && ! -e $to/$name ]]; then cp -L "$folder/$name" "$to/"; fi
    done
    [[ -e $to/$name ]] || fail "its packages lack $name, which $product needs"
  done
  # Debian's Redis 6.0 has Lua look for cjson and bit as modules.
  for folder in "$root"/{usr/,}lib/*-linux-*/lua/5.1; do
    if [[ -d $folder ]]; then cp -RL "$folder" "$to/lua"; fi
  done
  chmod -R u+w,go-w,a+rX "$to"
}

# wrapper FOLDER BINARY COMMAND writes bin/COMMAND, which turns into BINARY of
# lib/FOLDER in the same process, so that a signal to its PID reaches the server.
wrapper() {
  local name=$1 binary=$2 command=$3 loader argv0=''
  loader=$(loader_name "$dir/lib/$name")
  # Loaders before glibc 2.33 cannot set argv[0]; the binary's path stands there then.
  # With it, a server that starts itself again goes through the wrapper.
  if "$dir/lib/$name/$loader" --inhibit-cache --library-path "$dir/lib/$name" \
    --argv0 "$command" "$dir/lib/$name/$binary" --version >/dev/null 2>&1; then
    argv0=" --argv0 \"\$home/bin/$command\""
  fi
  cat >"$dir/bin/.$command.new" <<WRAPPER
#!/bin/sh
# Written by servers.sh. Runs $binary of lib/$name with the libraries beside it.
self=\$0
[ ! -L "\$self" ] || self=\$(readlink -f -- "\$self")
case \$self in */*) here=\${self%/*} ;; *) here=. ;; esac
home=\$(CDPATH='' cd -- "\$here/.." && pwd -P) || exit 127
lib=\$home/lib/$name
# The machine's locales are not those of this suite's libc, nor its Lua modules.
export LC_ALL=C LUA_CPATH="\$lib/lua/?.so"
exec "\$lib/$loader" --inhibit-cache --library-path "\$lib"$argv0 "\$lib/$binary" "\$@"
WRAPPER
  chmod 755 "$dir/bin/.$command.new"
  mv -f "$dir/bin/.$command.new" "$dir/bin/$command"
}

# loader_name FOLDER prints the file name of the loader that collect put there.
loader_name() {
  cd "$1" # in the process that captures the output
  compgen -G 'ld-linux*.so.*' || compgen -G 'ld64.so.*'
}

# remove NAME takes one server away.
remove() { rm -rf "${dir:?}"/{bin/"$1",bin/"$(cli_of "$1")",lib/"$1"}; }

# install SUITE NAME... installs servers of one suite; runs in a process of its
# own, whose last lines of output say why it failed.
install() {
  local suite=$1 world=$work/$1 name product got failed=0
  shift
  local packages=()
  for name in "$@"; do packages+=("$(field 3 "$name")"); done
  fetch "$suite" "$world" "${packages[@]}"
  for name in "$@"; do
    product=${name%%-*}
    collect "$world/root" "$product" "$world/$name"
    # The wrappers go first and come back last: no wrapper ever leads to a
    # folder that is half there.
    remove "$name"
    mv "$world/$name" "$dir/lib/$name"
    wrapper "$name" "$product-cli" "$(cli_of "$name")"
    wrapper "$name" "$product-server" "$name"
    if ! works "$name"; then
      got=$(release "$dir/bin/$name") || got=
      if [[ -n $got ]]; then got="is now $got"; else got='does not start'; fi
      say "no $name: $product in $suite $got"
      remove "$name"
      failed=1
    fi
  done
  rm -rf "$world"
  return "$failed"
}

# clean_up ends what is still running (each job is its own process group) and
# removes the work folder.
clean_up() {
  local pid
  for pid in "${!jobs[@]}"; do kill -TERM -- "-$pid" 2>/dev/null || true; done
  wait
  if [[ -n $work ]]; then rm -rf "$work"; fi
}

# install_all NAME... installs servers, suites at the same time: the network,
# the unpacking and apt's reading of its lists take turns on few cores.
install_all() {
  local name suite pid failed=0
  declare -A by_suite=()
  for name in "$@"; do
    suite=$(field 2 "$name")
    by_suite[$suite]+=" $name"
  done
  set -m
  for suite in "${!by_suite[@]}"; do
    say "$suite: installing${by_suite[$suite]}"
    # shellcheck disable=SC2086 # a list of names
    (trap - EXIT INT TERM HUP; install "$suite" ${by_suite[$suite]}) </dev/null >"$work/$suite.log" 2>&1 &
    jobs[$!]=$suite
  done
  set +m
  for pid in "${!jobs[@]}"; do
    suite=${jobs[$pid]}
    if ! wait "$pid"; then
      failed=1
      say "$suite failed (for${by_suite[$suite]}):"
      tail -n 15 "$work/$suite.log" | sed "s/^/  $suite: /" >&2
    fi
    unset "jobs[$pid]"
  done
  return "$failed"
}

usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; }

case ${1:-} in
-h | --help)
  usage
  exit 0
  ;;
esac
[[ -z $(field 1 "${1:-}") ]] || fail "$1 is a server: name the folder first"
dir=${1:-$(dirname "${BASH_SOURCE[0]}")/../.servers}
shift $(($# > 0))
wanted=("$@")
for name in "${wanted[@]}"; do
  [[ -n $(field 1 "$name") ]] || fail "no server $name; there are: $(awk 'NF { printf "%s ", $1 }' <<<"$servers")"
done
((${#wanted[@]})) || mapfile -t wanted < <(awk 'NF { print $1 }' <<<"$servers")

mkdir -p "$dir/bin" "$dir/lib"
dir=$(CDPATH='' cd -- "$dir" && pwd -P)
# The dynamic loader splits its path at these and expands $.
case $dir in *[:\;\$\"]*) fail "$dir: a folder with one of : ; \$ \" in its path cannot hold libraries" ;; esac

work=''
declare -A jobs=() # process id to suite
if [[ -n $(missing) ]]; then
  for tool in apt-get apt-config dpkg-deb dpkg flock; do
    command -v "$tool" >/dev/null || fail "needs $tool: run it on Debian or a system made from it"
  done
  # Held until this process and all it started have ended.
  { exec 9>"$dir/.lock"; } 2>/dev/null || fail "cannot write in $dir"
  flock -n 9 || {
    say "waiting for another run in $dir"
    flock -w 900 9 || fail "another run holds $dir/.lock since 15 minutes"
  }
  trap clean_up EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  rm -rf "$dir"/.work.* "$dir"/bin/.*.new # of a run that was killed
  work=$(mktemp -d "$dir/.work.XXXXXX")

  mapfile -t todo < <(missing) # another run may have installed them
  if ((${#todo[@]})); then
    arch=$(dpkg --print-architecture)
    keys=$(keyring)
    mapfile -t sources < <(mirrors)
    ((${#sources[@]})) || fail 'the configuration of apt names no mirror: set DEBIAN_MIRROR'
    install_all "${todo[@]}" || fail "not all servers are installed in $dir"
  fi
fi

for name in "${wanted[@]}"; do
  printf '%-10s  %-8s %-8s %s\n' "$name" "$(release "$dir/bin/$name")" "$(field 2 "$name")" "$dir/bin/$name"
done
