#!/bin/sh
# The first process of the guest. Its root is the host's own file system, read-only; what tests write goes to memory.
# From the kernel's command line: drydock_project, drydock_modules, drydock_tests (comma separated), drydock_mode.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root UV_USE_IO_URING=0
mount -t proc proc /proc
mount -t sysfs sysfs /sys
for place in /tmp /run /var/tmp; do mount -t tmpfs tmpfs $place; done
mkdir -p /dev/shm /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t devpts devpts /dev/pts
mount -t cgroup2 cgroup2 /sys/fs/cgroup -o nsdelegate
value() { sed -n "s/.*drydock_$1=\([^ ]*\).*/\1/p" /proc/cmdline; }
if [ -d /lib/modules ]; then
  mount -t tmpfs tmpfs /lib/modules
  ln -s "$(value modules)/$(uname -r)" "/lib/modules/$(uname -r)"
fi
ip link set lo up 2>/dev/null
cd "$(value project)" || echo 'drydock-vm: the project is not there'
tests=$(value tests | tr ',' ' ')
node=node_modules/.bin/node
if [ "$(value mode)" = nested ]; then
  # As in a container: a cgroup namespace whose root has processes and must not be limited from inside.
  mkdir /sys/fs/cgroup/outer
  echo $$ > /sys/fs/cgroup/outer/cgroup.procs
  for controller in cpu io memory pids; do echo +$controller > /sys/fs/cgroup/cgroup.subtree_control; done
  unshare --cgroup --mount sh -c "umount /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup -o nsdelegate; exec $node --test --test-reporter=spec $tests"
else
  $node --test --test-reporter=spec $tests
fi
echo "drydock-vm-exit=$?"
sync
echo o > /proc/sysrq-trigger
sleep 5
