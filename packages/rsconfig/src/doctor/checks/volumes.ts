// The attached volumes: I/O that waits, storage of a server that fails, and file systems on devices that are gone.
// Leaves why a server is not in reach to reach.ts and proof.ts.

import { formatTime } from '@rsio/common/log/log-line';
import { plural } from '@rsio/common/lib/units';
import type { DoctorFacts } from '../facts/facts.ts';
import { type Finding, FindingList } from '../facts/finding.ts';

export function checkVolumes({ daemon, volumes }: DoctorFacts): Finding[] {
  const findings = new FindingList('volumes');
  const where = daemon.view === null ? null : `rsiod, pid ${daemon.view.pid}`;
  for (const { volume, waitsFor, sinceMs, untilMs, requests } of daemon.status?.waiting ?? []) {
    const until = untilMs === null ? 'for ever' : `until ${formatTime(untilMs)}, then it ends with an error`;
    const what = `${plural(requests, 'request waits', 'requests wait')} since ${formatTime(sinceMs)} for ${waitsFor}, ${until}`;
    findings.error(`volume ${volume}`, what, where, 'mend what the findings about paths and servers name; it goes on by itself');
  }
  for (const { volume, sinceMs, reason } of volumes.failing) {
    const what = `Its storage fails since ${formatTime(sinceMs)}: ${reason}`;
    findings.error(volume, what, where, 'mend it at the server: its log (rsslogcat) names the file and what to do');
  }
  for (const { mountPoint, device } of volumes.deadMounts) {
    const what = `The file system on ${device} is dead: the volume below it is not attached any more`;
    const remedy = 'end what uses it, unmount it, attach the volume and mount it anew';
    findings.error(`mount point ${mountPoint}`, what, device, remedy, [`umount -l ${quoted(mountPoint)}`]);
  }
  if (findings.list.length === 0 && daemon.status !== null) findings.ok('volumes', 'None waits, and no storage fails');
  return findings.list;
}

function quoted(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
