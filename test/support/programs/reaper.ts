// Cleans up after a test process that was killed: a shell waits for the end of its input and then removes the host. The input ends when the
// test process ends. The shell is not in the terminal's process group, so Ctrl-C does not reach it. If the test process is not killed,
// host.ts cleans the host and dismisses its reaper.

import { type ChildProcess, spawn } from 'node:child_process';

/**
 * Shell script that removes the loop devices and mounts of a host; `$1`: root of the host. The kernel shows the path of a loop device's
 * file only while the file system with this file is mounted, and only in the namespace of this mount.
 */
export const RELEASE = `
for file in /sys/block/loop*/loop/backing_file; do
  case "$(cat "$file" 2> /dev/null)" in
    "$1"/*) device="\${file#/sys/block/}"; losetup --detach "/dev/\${device%%/*}" ;;
  esac
done
cut -d ' ' -f 5 /proc/self/mountinfo | grep -F "$1/" | sort -r | while read -r place; do umount -i -l "$place"; done
`;

/**
 * Shell script that removes a host. The script removes the devices first, while the daemon of a device still answers I/O. If the daemon was
 * killed first, the file system on its device would wait for answers, and the daemon could never end. The script kills twice, because a
 * process that is just being started has no mark yet.
 */
const SCRIPT = `
mark="$1" root="$2" memory="$3" release="$4"
cat > /dev/null
released="$(readlink /proc/self/ns/mnt)"
for folder in /proc/[0-9]*; do
  if grep -qszxF "$mark" "$folder/environ"; then
    mounts="$(readlink "$folder/ns/mnt")"
    if [ -n "$mounts" ] && [ "$mounts" != "$released" ]; then
      timeout -k 1 20 nsenter --target "\${folder#/proc/}" --mount sh -c "$release; true" sh "$root" > /dev/null 2>&1 && released="$mounts"
    fi
  fi
done
for attempt in 1 2; do
  for folder in /proc/[0-9]*; do
    if grep -qszxF "$mark" "$folder/environ"; then kill -KILL "\${folder#/proc/}"; fi
  done
  sleep 0.3
done
cat "$root/etc/dvsc/rssrvcfg" "$root/var/lib/rsio/rssrv/volumes.json" 2> /dev/null |
  grep -oiE '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}' | while read -r id; do rm -f "$memory/rsio-$id"; done
rm -rf "$root"
`;

export class Reaper {
  private readonly shell: ChildProcess;

  /** `mark`: entry in the environment of each process of the host. `memory`: folder of the memory volumes of the host. */
  constructor(mark: string, root: string, memory: string) {
    this.shell = spawn('sh', ['-c', SCRIPT, 'sh', mark, root, memory, RELEASE], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
    this.shell.unref();
  }

  /** Ends the reaper, because the host is already cleaned. */
  dismiss(): void {
    this.shell.kill('SIGKILL');
  }
}
