// Checks that rsiod is running, has the same version as rsconfig, uses the current file, and has connected every path that doctor can use.
// The check also reports a missing NBD socket, and a control socket that other users can access.

import { formatTime } from '@rsio/base/log/log-line';
import { endPoint, stateName } from '../../output/format.ts';
import type { DaemonFacts, DoctorFacts } from '../gather/facts.ts';
import { type Finding, FindingList } from '../gather/finding.ts';
import { pathName, splitSentence } from '../gather/naming.ts';

const OTHERS = 0o077;

export function checkDaemon(facts: DoctorFacts): Finding[] {
  const findings = new FindingList('rsiod');
  const { daemon } = facts;
  if (daemon.trouble !== null) trouble(findings, facts, daemon.trouble);
  if (daemon.socketMode !== null && (daemon.socketMode & OTHERS) !== 0) {
    const what = `Users other than its owner can control rsiod (mode ${(daemon.socketMode & 0o777).toString(8).padStart(4, '0')})`;
    findings.error('control socket', what, daemon.socket, 'restrict it to its owner', [`chmod 600 ${daemon.socket}`]);
  }
  if (daemon.view === null) return findings.list;
  const { view } = daemon;
  const where = `rsiod, pid ${view.pid}`;
  if (view.version !== facts.version) {
    const what = `It has version ${view.version}, rsconfig has version ${facts.version}`;
    findings.warning(
      'rsiod',
      what,
      where,
      `restart it when its volumes are not in use: kill ${view.pid}, then, once it has ended, ${facts.startCommand}`,
    );
  }
  olderFile(findings, facts, daemon);
  if (!daemon.isNbdSocketThere) {
    const remedy = `restart it: kill ${view.pid}, then, once it has ended, ${facts.startCommand}`;
    findings.error('NBD socket', 'The socket is gone: local programs cannot reach attached volumes', daemon.nbdSocket, remedy);
  }
  disagreements(findings, facts);
  if (findings.list.length === 0) findings.ok('rsiod', `Running as pid ${view.pid}, version ${view.version}, with this file`);
  return findings.list;
}

function trouble(findings: FindingList, { daemon, startCommand }: DoctorFacts, { code, message }: { code: string; message: string }): void {
  const { what, remedy } = splitSentence(message, 'see its log (rsclogcat)');
  const { livePid } = daemon;
  const restart = `restart it when its volumes are not in use: kill ${livePid}, then, once it has ended, ${startCommand}`;
  if (code === 'E_NOT_RUNNING' && livePid !== null) {
    findings.error('rsiod', `It runs as pid ${livePid}, but its control socket is gone`, daemon.socket, restart);
  } else if (code === 'E_TIMEOUT' && livePid !== null) {
    findings.error(
      'rsiod',
      what,
      `rsiod, pid ${livePid}`,
      `see rsclogcat -n 20; if it hangs, ${restart} (kill -9 if kill does not end it)`,
    );
  } else if (code === 'E_NOT_RUNNING') findings.error('rsiod', 'It is not running', daemon.socket, 'start it', [startCommand]);
  else if (code === 'E_RIGHTS') findings.warning('rsiod', what, daemon.socket, remedy);
  else findings.error('rsiod', what, daemon.socket, remedy);
}

function olderFile(findings: FindingList, { file, rootOption }: DoctorFacts, { view }: DaemonFacts): void {
  if (view === null || file.modifiedMs === null || file.modifiedMs <= view.configuredMs) return;
  const what = `It uses an older version of the file: the file was changed ${formatTime(file.modifiedMs)}, rsiod read it ${formatTime(view.configuredMs)}`;
  const remedy = file.config === null ? 'correct the file, then make rsiod reload it' : 'make it reload the file';
  findings.warning('rsiod', what, `rsiod, pid ${view.pid}`, remedy, file.config === null ? [] : [`rsconfig${rootOption} reload`]);
}

/** Reports the paths that doctor could use but that rsiod has not connected. */
function disagreements(findings: FindingList, { paths, daemon }: DoctorFacts): void {
  for (const path of paths) {
    // After a server has refused the key, doctor tries the other paths without a key. A connection without a key does not prove that rsiod
    // could use the path.
    if (path.report === null || path.report.failureCode !== null || path.report.server?.isProved !== true) continue;
    const view = daemon.status?.interfaces.find(({ name }) => name === path.interface);
    const rep = view?.reps.find(({ address, port }) => address === path.address && port === path.port);
    if (rep === undefined || rep.state === 'up') continue;
    const [, refusal] = /^(.*) \[E_OTHER_MACHINE\]/.exec(rep.lastError ?? '') ?? [];
    if (refusal !== undefined) {
      const { what, remedy } = splitSentence(refusal, 'stop rsiod on the other machine');
      findings.error(pathName(path), what, `${view?.name} -> ${endPoint(rep.address, rep.port)}`, remedy);
      continue;
    }
    const since = `${stateName(rep.state)} since ${formatTime(rep.sinceMs)}`;
    const what = `It works, but rsiod reports it as ${since}${rep.lastError === null ? '' : `, last error: ${rep.lastError}`}`;
    const remedy = 'rsiod retries it by itself; if it does not stay up, see rsconfig events and rsclogcat';
    findings.warning(pathName(path), what, `${view?.name} -> ${endPoint(rep.address, rep.port)}`, remedy);
  }
}
