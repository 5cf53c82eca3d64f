// Checks that the servers' releases and clocks match, and that backups, free space for state and logs, and the certificate of rsweb are in
// order. The file daemon.ts compares the release of rsiod. Invariant: a server whose release or time is unknown is skipped.

import { upkeepFaults } from '@rsio/api/manage/upkeep';
import { volumeLabel } from '@rsio/base/lib/volume-name';
import { formatTime } from '@rsio/base/log/log-line';
import { BACKUP_LATE_MS, CLOCKS_DIFFER_MS } from '../../limits.ts';
import type { DoctorFacts } from '../gather/facts.ts';
import { type Finding, FindingList } from '../gather/finding.ts';

export function checkUpkeep({ servers, paths, backups, upkeep, nowMs, daemon }: DoctorFacts): Finding[] {
  const findings = new FindingList('upkeep');
  const own = daemon.view?.version ?? null;
  for (const { name, release, sharesVolumes } of servers) {
    if (sharesVolumes) {
      const what = 'Several of its clients have the right manage, and each may change the volumes of the others';
      findings.warning(`server ${name}`, what, null, `on the server, rsadm namespace set tenants=yes ends this (rssrvcfg(5))`);
    }
    if (release !== null && own !== null && release !== own) {
      const remedy = 'install the same release on both; an older and a newer one use the features that both know';
      findings.warning(`server ${name}`, `It has release ${release}, and rsiod has ${own}`, null, remedy);
    }
  }
  for (const [name, clockOffMs] of clocks(servers, paths)) {
    if (Math.abs(clockOffMs) >= CLOCKS_DIFFER_MS) {
      const seconds = Math.round(Math.abs(clockOffMs) / 1_000);
      const what = `Its clock is ${seconds} s ${clockOffMs > 0 ? 'ahead of' : 'behind'} the one of this machine`;
      findings.warning(
        `server ${name}`,
        what,
        null,
        'synchronise both machines, for example with chrony: times in logs and snapshots differ',
      );
    }
  }
  for (const { atMs, ...volume } of backups.filter((one) => nowMs - one.atMs > BACKUP_LATE_MS)) {
    const what = `Its newest backup by rsconfig backup was made ${formatTime(atMs)}`;
    findings.warning(
      `volume ${volumeLabel(volume)}`,
      what,
      null,
      'look at what runs rsconfig backup (cron, a systemd timer), or run it now',
    );
  }
  for (const { isError, object, what, where, remedy, commands } of upkeepFaults(upkeep, nowMs)) {
    if (isError) findings.error(object, what, where, remedy, commands);
    else findings.warning(object, what, where, remedy, commands);
  }
  if (findings.list.length === 0)
    findings.ok('upkeep', 'Releases and clocks agree, no backup is late, and there is room for state and logs');
  return findings.list;
}

/** For each server: by how much its clock is ahead now, or was ahead when the session of rsiod began. */
function clocks(servers: DoctorFacts['servers'], paths: DoctorFacts['paths']): ReadonlyMap<string, number> {
  const atBegin = servers.map(({ name, clockOffMs }) => [name, clockOffMs] as const);
  const now = paths.map(({ report }) => [report?.server?.server ?? '', report?.server?.clockOffMs ?? null] as const);
  return new Map([...atBegin, ...now].filter((one): one is readonly [string, number] => one[1] !== null));
}
