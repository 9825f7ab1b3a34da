#!/bin/sh
# The first process of a guest. It has the host's directories mounted, and runs the job: by itself, in a cgroup
# namespace of its own as a container's first process would, or as a service of systemd.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
. /job/settings

share() { # NAME HOST-DIRECTORY PLACE
  mkdir -p "$3"
  if [ "$bed" = uml ]; then mount -t hostfs -o "hostfs=$2" none "$3"
  else mount -t virtiofs -o ro "$1" "$3"; fi
}

# The job's output and its exit code go to the host by the console: the last line is what it waits for.
job() {
  cd /drydock || exit
  sh /job/job.sh </dev/null >/dev/console 2>&1
  echo "drydock-vm-exit=$?" >/dev/console
}

if [ "$1" = job ]; then job; exit 0; fi

share project "$project" /drydock
if [ "$bed" = uml ]; then
  # Beside /usr: a container in a user namespace cannot have an overlay of a directory with a mount somewhere below it.
  share modules "$modules/$(uname -r)" /modules
  ln -s /modules "/usr/lib/modules/$(uname -r)"
fi

if [ "$mode" = systemd ]; then
  cat > /etc/systemd/system/drydock-vm.service <<UNIT
[Unit]
Description=The job of a virtual machine of the tests
After=multi-user.target
[Service]
Type=oneshot
Environment=HOME=/root LANG=C.UTF-8
ExecStart=/bin/sh /job/init.sh job
ExecStopPost=/bin/systemctl --force --force poweroff
TimeoutStartSec=infinity
UNIT
  mkdir -p /etc/systemd/system/default.target.wants
  ln -sf ../drydock-vm.service /etc/systemd/system/default.target.wants/
  exec /lib/systemd/systemd
fi

mount -t sysfs sysfs /sys
mountpoint -q /dev || mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/shm /dev/pts /dev/mqueue
[ -e /dev/fd ] || ln -s /proc/self/fd /dev/fd
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t mqueue mqueue /dev/mqueue
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t tmpfs -o mode=755 tmpfs /run
mount -t cgroup2 cgroup2 /sys/fs/cgroup -o nsdelegate
mount -t securityfs securityfs /sys/kernel/security 2>/dev/null
mount -t bpf bpf /sys/fs/bpf 2>/dev/null
hostname guest
ip link set lo up

if [ "$mode" = nested ]; then
  # As in a container: a cgroup namespace whose root has processes and must not be limited from inside.
  mkdir /sys/fs/cgroup/outer
  echo $$ > /sys/fs/cgroup/outer/cgroup.procs
  for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do
    echo "+$controller" > /sys/fs/cgroup/cgroup.subtree_control
  done
  unshare --cgroup --mount sh -c \
    'umount /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup -o nsdelegate; exec sh /job/init.sh job'
else
  job
fi
sync
echo o > /proc/sysrq-trigger
sleep 60
