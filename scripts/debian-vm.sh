#!/bin/sh
# scripts/debian-vm.sh COMMAND…: runs a command of this project on Debian 12's own kernel, which is the oldest one supported, in
# a virtual machine that has nothing but what the project needs to run: no disk, no network. Exit code and output are the
# command's. In the environment: LIMIT_S, and ACCELERATOR=kvm where that works (a container may show a /dev/kvm that does not),
# which is ten times as fast as the emulation.
set -eu
cd "$(dirname "$0")/.."
project=$PWD
vm=$project/build/vm
kernel_package=linux-image-cloud-amd64
release=6.1
memory_mib=2048
limit_s=${LIMIT_S:-600}
accelerator=${ACCELERATOR:-tcg}
# In the order in which they need one another; under kernel/ of the package.
modules="drivers/net/veth net/ipv4/tunnel4 net/ipv4/ip_tunnel net/ipv4/ipip net/ipv4/gre net/ipv4/ip_gre net/ipv6/sit
	net/ipv6/tunnel6 net/ipv6/ip6_tunnel net/ipv6/ip6_gre net/ipv4/udp_tunnel net/ipv6/ip6_udp_tunnel net/ipv4/fou net/ipv6/fou6"

fail() { echo "debian-vm: $*" >&2; exit 125; }

[ $# -gt 0 ] || fail 'which command?'
[ "$(uname -m)" = x86_64 ] || fail "this needs an x86_64 machine, not $(uname -m)"

# The kernel is not installed: apt only fetches it, 27 MB, once.
fetch_kernel() {
	package=$(apt-cache depends $kernel_package | sed -n "s/^ *Depends: \(linux-image-$release\.\)/\1/p" | head -n 1)
	[ -n "$package" ] || fail "apt knows no $kernel_package of Linux $release: this needs the package lists of Debian 12"
	echo "debian-vm: fetching $package" >&2
	rm -rf "$vm/kernel"
	mkdir -p "$vm/kernel"
	(cd "$vm/kernel" && apt-get -qq -o APT::Sandbox::User=root download "$package" && dpkg-deb -x ./*.deb .) ||
		fail "$package could not be fetched: apt-get update, and try again"
	mkdir -p "$vm/modules"
	for module in $modules; do mv "$vm"/kernel/lib/modules/*/kernel/"$module.ko" "$vm/modules"; done
	mv "$vm"/kernel/boot/vmlinuz-* "$vm/vmlinuz"
	rm -rf "$vm/kernel"
}

# A program with the libraries that it wants, each at its place.
add_program() {
	libraries=$(ldd "$1" 2>/dev/null | sed -n 's/.*[[:space:]]\(\/[^ ]*\) (0x.*/\1/p')
	# shellcheck disable=SC2086 # one word a library
	cp -L --parents "$1" $libraries "$vm/root"
}

# Everything is in memory: the project as it is built, without what only builds it.
make_root() {
	rm -rf "$vm/root"
	for folder in bin sbin usr/bin usr/sbin dev proc sys tmp "$project"; do mkdir -p "$vm/root/$folder"; done
	cp "$(command -v busybox)" "$vm/root/bin/busybox"
	cp -r "$vm/modules" "$vm/root"
	add_program "$(readlink -f "$(command -v ip)")"
	add_program "$(readlink -f "$(command -v node)")"
	ln -s "$(readlink -f "$(command -v node)")" "$vm/root/bin/node"
	for module in addon/build/Release/bpf.node addon/net/build/Release/net.node; do add_program "$project/$module"; done
	tar -c --exclude=./build/vm --exclude=./build/node --exclude=obj.target \
		--exclude=./node_modules/typescript --exclude=./node_modules/@typescript --exclude=./node_modules/@biomejs \
		./package.json ./addon ./build ./docs/operations.md ./node_modules | tar -x -C "$vm/root$project"
	# A quoted word for each argument, so that the command arrives as it was given.
	for word in "$@"; do printf "'%s' " "$(echo "$word" | sed "s/'/'\\\\''/g")"; done >"$vm/root/command"
	cat >"$vm/root/init" <<INIT
#!/bin/busybox sh
/bin/busybox --install -s
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t bpf bpf /sys/fs/bpf
export PATH=$project/node_modules/.bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp CI=1
echo 2 >/proc/sys/net/core/fb_tunnels_only_for_init_net # no devices but those that are asked for
for module in $(for module in $modules; do basename "$module"; done | tr '\n' ' '); do insmod "/modules/\$module.ko"; done
ip link set lo up
cd $project
sh /command
echo "debian-vm: exit \$?"
stty sane # returns when all that was written is out
echo b >/proc/sysrq-trigger
sleep 60
INIT
	chmod +x "$vm/root/init"
	(cd "$vm/root" && find . | busybox cpio -o -H newc 2>/dev/null) >"$vm/initrd"
	rm -rf "$vm/root"
}

[ -e "$vm/vmlinuz" ] && [ -d "$vm/modules" ] || fetch_kernel
make_root "$@"
timeout "$limit_s" qemu-system-x86_64 -accel "$accelerator" -cpu max -smp 2 -m $memory_mib -no-reboot -nodefaults -display none \
	-serial stdio -kernel "$vm/vmlinuz" -initrd "$vm/initrd" \
	-append 'console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable nokaslr no_timer_check' </dev/null |
	tr -d '\r' | tee "$vm/log" | sed -u '/^debian-vm: exit /,$d'
rm -f "$vm/initrd"
status=$(sed -n 's/^debian-vm: exit //p' "$vm/log" | tail -n 1)
[ -n "$status" ] || fail "the virtual machine ended before the command did, or $limit_s s were not enough: see $vm/log"
exit "$status"
