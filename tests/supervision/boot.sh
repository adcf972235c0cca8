#!/usr/bin/env bash
# Boots a systemd of its own, as process 1 of a machine that has this machine's files with an
# installation laid over them, and this machine's network: boot.sh INSTALLATION SCRATCH. Nothing of what
# happens there stays. Takes root; 77 says that such a machine can't be had here. It ends with whoever
# started it.
set -euo pipefail

installation=$1 scratch=$2
root=$scratch/root

cannot() {
    echo "boot: $*" >&2
    exit 77
}

if [[ ${3:-} != within ]]; then
    [[ $EUID == 0 ]] || cannot "it takes root"
    [[ -x /lib/systemd/systemd ]] || cannot "there is no systemd"
    # Control groups of its own are all that the machine sees of them: one, or one of each kind.
    groups=(/sys/fs/cgroup)
    [[ -d /sys/fs/cgroup/systemd ]] && groups=(/sys/fs/cgroup/*/)
    for group in "${groups[@]}"; do
        group=${group%/}/$(basename -- "$scratch")
        mkdir "$group" && echo $$ >"$group/cgroup.procs" && grouped=1 || true
    done 2>/dev/null
    [[ -n ${grouped:-} ]] || cannot "no control group can be had"
    exec unshare --pid --mount --uts --ipc --cgroup --fork --kill-child --propagation private \
        "$0" "$installation" "$scratch" within
fi

mount -t tmpfs tmpfs "$scratch" || cannot "nothing can be mounted"
mkdir "$scratch"/{changes,work,root}
mount -t overlay overlay "$root" -o "lowerdir=/,upperdir=$scratch/changes,workdir=$scratch/work" ||
    cannot "no folder can be laid over another"
cp -r --no-preserve=ownership "$installation"/. "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys" -o ro
mount -t tmpfs tmpfs "$root/sys/fs/cgroup"
if [[ -d /sys/fs/cgroup/systemd ]]; then
    mkdir "$root/sys/fs/cgroup/systemd"
    mount -t cgroup cgroup "$root/sys/fs/cgroup/systemd" -o none,name=systemd
else
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
fi
mount -t tmpfs tmpfs "$root/dev"
mkdir "$root"/dev/{pts,shm}
for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mount -t devpts devpts "$root/dev/pts" -o newinstance,ptmxmode=666
ln -s pts/ptmx "$root/dev/ptmx"
for folder in run tmp; do
    mount -t tmpfs tmpfs "$root/$folder"
done

# Not by chroot: who is shut in there may have no users of its own (PrivateUsers=).
cd -- "$root"
mkdir outside
pivot_root . outside
cd /
umount --lazy outside

# What the package's scripts do.
systemd-sysusers aegis.conf
systemd-tmpfiles --create aegis.conf
chown root:aegis /etc/aegis/aegisd.env
chmod 640 /etc/aegis/aegisd.env

# Nothing of this machine's is started, only what is asked for.
mkdir -p /etc/systemd/system
printf '[Unit]\nDescription=A machine for Aegis\n' >/etc/systemd/system/machine.target
container=aegis exec /lib/systemd/systemd --system --unit=machine.target --log-target=journal
