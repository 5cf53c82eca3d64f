// Checks the attached volumes for waiting I/O, failing storage on a server, and file systems on devices that no longer exist. The reason
// why a server is unreachable is reported by reach.ts and authentication.ts.

import { waitingEnd, waitingText } from '@rsio/common/control/methods';
import { formatTime } from '@rsio/common/log/log-line';
import { plural } from '@rsio/common/lib/units';
import type { DoctorFacts } from '../gather/facts.ts';
import { type Finding, FindingList } from '../gather/finding.ts';

export function checkVolumes({ daemon, volumes }: DoctorFacts): Finding[] {
  const findings = new FindingList('volumes');
  const where = daemon.view === null ? null : `rsiod, pid ${daemon.view.pid}`;
  for (const { volume, sinceMs, requests, ...view } of daemon.status?.waiting ?? []) {
    const end = waitingEnd(view);
    const until = end === null ? '' : typeof end === 'number' ? `, until ${formatTime(end)}; after that, the I/O fails` : `, ${end}`;
    const what = `Its I/O ${waitingText(view)} (${plural(requests, 'request')} since ${formatTime(sinceMs)}${until})`;
    findings.error(`volume ${volume}`, what, where, 'remedy the findings about paths and servers; the I/O then resumes by itself');
  }
  for (const { volume, sinceMs, reason } of volumes.failing) {
    const what = `Its storage has been failing since ${formatTime(sinceMs)}: ${reason}`;
    findings.error(volume, what, where, 'repair it on the server: its log (rsslogcat) names the file and what to do');
  }
  for (const { mountPoint, device } of volumes.deadMounts) {
    const what = `The file system on ${device} is dead because its volume is no longer attached`;
    const remedy = 'stop the programs that use it, unmount it, attach the volume and mount it again';
    findings.error(`mount point ${mountPoint}`, what, device, remedy, [`umount -l ${quoted(mountPoint)}`]);
  }
  if (findings.list.length === 0 && daemon.status !== null) findings.ok('volumes', 'No I/O is waiting, and no storage fails');
  return findings.list;
}

function quoted(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
