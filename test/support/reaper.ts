// What cleans up after a test process that was killed and could clean nothing itself: a shell that waits for the end of its input, which
// comes with the end of the test process, and then removes the host. It is not in the terminal's process group: Ctrl-C does not reach it.
// Leaves the usual way, in which the host is cleaned and its reaper dismissed, to host.ts.

import { type ChildProcess, spawn } from 'node:child_process';

/** Twice, because a process that is just being started has no mark yet. */
const SCRIPT = `
mark="$1" root="$2" memory="$3"
cat > /dev/null
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

  /** `mark`: the environment entry that the host's processes carry. `memory`: where its memory volumes are. */
  constructor(mark: string, root: string, memory: string) {
    this.shell = spawn('sh', ['-c', SCRIPT, 'sh', mark, root, memory], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
    this.shell.unref();
  }

  /** The host has been cleaned. */
  dismiss(): void {
    this.shell.kill('SIGKILL');
  }
}
