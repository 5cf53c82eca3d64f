// Checks what changes with time: releases of the servers, clocks, room for state and logs, the certificate of rsweb. That rsiod has the release
// of rsconfig is checked in daemon.ts. Invariant: a server that does not say its release or time is left out.

import { upkeepFaults } from '@rsio/common/manage/upkeep';
import { CLOCKS_DIFFER_MS } from '../../cli/limits.ts';
import type { DoctorFacts } from '../facts/facts.ts';
import { type Finding, FindingList } from '../facts/finding.ts';

export function checkUpkeep({ servers, upkeep, nowMs, daemon }: DoctorFacts): Finding[] {
  const findings = new FindingList('upkeep');
  const own = daemon.view?.version ?? null;
  for (const { name, release, clockOffMs } of servers) {
    if (release !== null && own !== null && release !== own) {
      const remedy = 'install the same release on both; an older and a newer one use the features that both know';
      findings.warning(`server ${name}`, `It has release ${release}, and rsiod has ${own}`, null, remedy);
    }
    if (clockOffMs !== null && Math.abs(clockOffMs) >= CLOCKS_DIFFER_MS) {
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
  for (const { isError, object, what, where, remedy, commands } of upkeepFaults(upkeep, nowMs)) {
    if (isError) findings.error(object, what, where, remedy, commands);
    else findings.warning(object, what, where, remedy, commands);
  }
  if (findings.list.length === 0) findings.ok('upkeep', 'Releases and clocks agree, and there is room for state and logs');
  return findings.list;
}
