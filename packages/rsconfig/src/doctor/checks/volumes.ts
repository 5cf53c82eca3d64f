// Checks the volumes for waiting I/O, copies of servers, failing storage on a server, file systems on devices that no longer exist, and a `stall`
// that is too short for a move of the volume to another server. The reason why a server is unreachable is reported by reach.ts and
// authentication.ts.

import { effectiveVolumeOf } from '@rsio/common/config/effective-volume';
import { waitingEnd, waitingText } from '@rsio/api/rsiod/methods';
import { formatTime } from '@rsio/base/log/log-line';
import { plural, printDuration } from '@rsio/base/lib/units';
import { volumeLabel } from '@rsio/base/lib/volume-name';
import { STALL_IN_FARM_MIN_MS } from '../../limits.ts';
import type { DoctorFacts } from '../gather/facts.ts';
import { type Finding, FindingList } from '../gather/finding.ts';

export function checkVolumes({ daemon, volumes, file }: DoctorFacts): Finding[] {
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
  for (const { volume, why } of volumes.copies) {
    const remedy = 'keep the right server, and stop the other one; after that, or with --server, the volume can be attached';
    findings.error(`volume ${volume}`, why, where, remedy);
  }
  for (const { mountPoint, device } of volumes.deadMounts) {
    const what = `The file system on ${device} is dead because its volume is no longer attached`;
    const remedy = 'stop the programs that use it, unmount it, attach the volume and mount it again';
    findings.error(`mount point ${mountPoint}`, what, device, remedy, [`umount -l ${quoted(mountPoint)}`]);
  }
  for (const volume of volumes.inSharedPools) {
    if (file.config === null) break;
    const { stall } = effectiveVolumeOf(file.config, volume);
    if (stall === 'forever' || (stall !== 'fail' && stall >= STALL_IN_FARM_MIN_MS)) continue;
    const limit = stall === 'fail' ? 'fail' : printDuration(stall);
    const what = `Several servers can serve its pool, and a move to another server may take longer than its stall of ${limit}: I/O would fail`;
    findings.warning(`volume ${volumeLabel(volume)}`, what, file.path, 'set stall = 60s or more: take-over-after of its servers and 30 s');
  }
  if (findings.list.length === 0 && daemon.status !== null) findings.ok('volumes', 'No I/O is waiting, and no storage fails');
  return findings.list;
}

function quoted(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
